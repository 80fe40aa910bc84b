'use strict';
// heapdump-rs/analyze: the questions that the commands answer, from JavaScript and off the main thread.
// Every method is a call into the addon that returns a promise; the addon loads and computes on a worker
// thread of its own, and gives the same JSON as the command's --json.

const { addon } = require('./native.js');

const CODE = 'ERR_HEAPDUMP_ANALYZE';
const SORTS = new Set(['retained', 'shallow', 'count', 'name']);
const GROUPINGS = new Set(['class', 'package', 'script']);
const OBJECT_SORTS = new Set(['retained', 'shallow', 'distance', 'edges', 'name', 'class', 'id']);
const MATCHES = new Set(['auto', 'id', 'class']);
const TREES = new Set(['dominators', 'paths']);
const MEASURES = new Set(['bytes', 'objects']);
/** How often `onProgress` is told, in ms. */
const PROGRESS = 100;
const FILTERS = new Set(['duplicated-strings', 'detached-dom-nodes', 'console', 'event-handlers', 'contexts']);

/** A loaded snapshot. What takes long is computed when it is first asked for, once. */
class Snapshot {
  #handle;

  constructor(handle) {
    this.#handle = handle;
  }

  summary(options = {}) {
    const { by = 'class', ...rest } = object(options);
    if (oneOf(by, GROUPINGS, 'by') !== 'class') {
      if (rest.only != null || rest.without != null) throw new TypeError("options.by is alone, without 'only' or 'without'");
      return this.#ask('shares', { by, ...rows(rest) });
    }
    return this.#ask('summary', { ...rows(options), ...selection(options) });
  }

  /** The objects that fit a question, a page at a time. */
  objects(options = {}) {
    const { class: name = null, where = null, properties = [], page = 1, sort = 'retained', ...rest } = object(options);
    const question = {
      class: name === null ? null : pattern(name, 'class'),
      where: where === null ? null : string(where, 'where'),
      properties: array(properties, 'properties').map((property) => string(property, 'properties')),
      page: integer(page, 1, 'page'),
    };
    return this.#ask('objects', {
      ...rows(rest), ...selection(rest), ...question, sort: oneOf(sort, OBJECT_SORTS, 'sort'),
    });
  }

  statistics() {
    return this.#ask('statistics', {});
  }

  strings(options) {
    return this.#ask('strings', rows(options));
  }

  suspects(options = {}) {
    const { threshold = 0.1 } = object(options);
    if (typeof threshold !== 'number' || !(threshold >= 0)) {
      throw new TypeError(`options.threshold must be a number from 0, got ${String(threshold)}`);
    }
    return this.#ask('suspects', { threshold });
  }

  inspect(id, options) {
    return this.#ask('inspect', { id: objectId(id), ...rows(options) });
  }

  retainers(id, options) {
    return this.#ask('retainers', { id: objectId(id), ...rows(options), ...view(options) });
  }

  /** The shortest way to an object from a root; of a long one, the last `limit` steps. */
  path(id, options) {
    const { limit } = rows(options);
    return this.#ask('path', { id: objectId(id), limit, ...view(options) });
  }

  dominators(id, options) {
    return this.#ask('dominators', { id: id == null ? null : objectId(id), ...rows(options) });
  }

  /** All that a report shows. */
  report(options = {}) {
    return this.#ask('report', { values: Boolean(object(options).values) });
  }

  page(id, options = {}) {
    return this.#ask('page', { id: objectId(id), ...rows(options), values: Boolean(object(options).values) });
  }

  /** The heap as a tree, merged by class. */
  tree(options = {}) {
    const { by = 'dominators', measure = 'bytes', of = null, within = [], limit = 0 } = object(options);
    return this.#ask('tree', {
      treeBy: oneOf(by, TREES, 'by'),
      measure: oneOf(measure, MEASURES, 'measure'),
      id: of === null ? null : objectId(of),
      within: array(within, 'within').map((key) => string(key, 'within')),
      limit: integer(limit, 0, 'limit'),
    });
  }

  /** What changed from this snapshot to a later one. */
  compare(target, options = {}) {
    const { match = 'auto', objects = false } = object(options);
    const other = handleOf(target, 'target');
    const question = { match: oneOf(match, MATCHES, 'match'), objects: Boolean(objects), ...rows(options) };
    return parse(this.#handle.compare(other, JSON.stringify(question)));
  }

  /** Frees the memory now rather than when the object is collected. */
  close() {
    this.#handle.close();
  }

  #ask(question, options) {
    return parse(this.#handle.ask(question, JSON.stringify(options)));
  }

  static handleOf(snapshot) {
    return snapshot.#handle;
  }
}

function handleOf(value, name) {
  if (!(value instanceof Snapshot)) throw new TypeError(`${name} must be a Snapshot, as open() gives`);
  return Snapshot.handleOf(value);
}

/** Loads a snapshot, which may be compressed (.gz, .zst) and encrypted (.age, which `identity` opens). */
async function open(path, options = {}) {
  if (typeof path !== 'string') throw new TypeError(`path must be a string, got ${typeof path}`);
  const { salvage = false, sourceMaps = false, sourceRoot, identity, onProgress } = object(options);
  if (sourceRoot !== undefined) string(sourceRoot, 'sourceRoot');
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw new TypeError(`options.onProgress must be a function, got ${typeof onProgress}`);
  }
  const identities = [identity ?? []].flat().map((file) => string(file, 'identity'));
  const progress = new addon.LoadProgress();
  const timer = onProgress && setInterval(() => onProgress(progress.bytes()), PROGRESS);
  const opening = addon.openSnapshot(path, Boolean(salvage), Boolean(sourceMaps), sourceRoot, progress, identities);
  const opened = await withCode(opening).finally(() => clearInterval(timer));
  if (opened.message === undefined) return new Snapshot(opened);
  const { message, found, encrypted } = opened;
  throw Object.assign(new Error(message), { code: encrypted ? 'ERR_HEAPDUMP_ENCRYPTED' : CODE }, found && { found });
}

/** Finds what grows and is still held in two or three snapshots of one process, the earliest first. */
async function findLeaks(snapshots, options = {}) {
  if (!Array.isArray(snapshots) || snapshots.length < 2 || snapshots.length > 3) {
    throw new TypeError('snapshots must be an array of two or three');
  }
  // `series`, for the viewer's words: the trend that they are the first, the middle and the last of.
  const { match = 'auto', traceAllObjects = false, series = null } = object(options);
  const handles = snapshots.map((snapshot, index) => handleOf(snapshot, `snapshots[${index}]`));
  const question = {
    match: oneOf(match, MATCHES, 'match'), traceAllObjects: Boolean(traceAllObjects), ...rows(options),
    series: series && { snapshots: series.snapshots.length, groups: series.groups },
  };
  const [first, ...later] = handles;
  return parse(first.findLeaks(later, JSON.stringify(question)));
}

/** What grows over snapshots of one process, the earliest first. */
async function trend(snapshots, options = {}) {
  if (!Array.isArray(snapshots) || snapshots.length < 2) throw new TypeError('snapshots must be an array of two or more');
  const { files = snapshots.map((_, index) => String(index + 1)), per = null, limit = 0 } = object(options);
  if (array(files, 'files').length !== snapshots.length) throw new TypeError('options.files must have a name for each snapshot');
  if (per !== null && !(typeof per === 'number' && per > 0)) throw new TypeError(`options.per must be a number above 0, got ${per}`);
  const [first, ...later] = snapshots.map((snapshot, index) => handleOf(snapshot, `snapshots[${index}]`));
  const question = { files: files.map((file) => string(file, 'files')), per, limit: integer(limit, 0, 'limit') };
  return parse(first.trend(later, JSON.stringify(question)));
}

async function parse(answer) {
  return JSON.parse(await withCode(answer));
}

/** What the analyzer rejects with says all in its message; its code is stable. */
async function withCode(answer) {
  try {
    return await answer;
  } catch (error) {
    error.code = CODE;
    throw error;
  }
}

function rows(options = {}) {
  const { limit = 0, filter = null, sort = 'retained' } = object(options);
  if (filter !== null) string(filter, 'filter');
  return { limit: integer(limit, 0, 'limit'), filter, sort: oneOf(sort, SORTS, 'sort') };
}

function selection(options = {}) {
  const { only = null, without = [] } = object(options);
  if (only !== null) oneOf(only, FILTERS, 'only');
  return { only, without: [without].flat().map((one) => pattern(one, 'without')) };
}

function view(options = {}) {
  const { ignore = [], jsOnly = false } = object(options);
  return { ignore: [ignore].flat().map(objectId), jsOnly: Boolean(jsOnly) };
}

/** A text, or a regular expression as the addon reads it. */
function pattern(value, name) {
  return value instanceof RegExp ? String(value) : string(value, name);
}

function string(value, name) {
  if (typeof value !== 'string') throw new TypeError(`options.${name} must be a string, got ${typeof value}`);
  return value;
}

function array(value, name) {
  if (!Array.isArray(value)) throw new TypeError(`options.${name} must be an array, got ${typeof value}`);
  return value;
}

function integer(value, least, name) {
  if (!Number.isInteger(value) || value < least) {
    throw new TypeError(`options.${name} must be an integer from ${least}, got ${String(value)}`);
  }
  return value;
}

function object(options) {
  if (options === null || typeof options !== 'object') {
    throw new TypeError(`options must be an object, got ${options === null ? 'null' : typeof options}`);
  }
  return options;
}

function oneOf(value, allowed, name) {
  if (!allowed.has(value)) {
    throw new TypeError(`options.${name} must be one of ${[...allowed].join(', ')}, got ${String(value)}`);
  }
  return value;
}

/** `123`, `'123'` or `'@123'`. */
function objectId(id) {
  const text = String(id).replace(/^@/, '');
  const number = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number)) {
    throw new TypeError(`id must be an object's id such as '@123', got ${String(id)}`);
  }
  return number;
}

module.exports = { open, findLeaks, trend, Snapshot };

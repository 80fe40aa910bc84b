'use strict';

// A drop-in for node-oom-heapdump: both its option sets, its API and its texts. Its snapshots need no inspector, and the
// one at V8's heap limit is taken by a forked child.

const { existsSync } = require('node:fs');
const fs = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');
const { debuglog } = require('node:util');
const v8 = require('node:v8');
const { isMainThread, threadId } = require('node:worker_threads');

const { heap } = require('./native.js');
const { inDefaultDirectory } = require('./directory.js');
const { normalize } = require('./options.js');
const { toError, invalidType, invalidValue } = require('./errors.js');
const { EXTENSION: SNAPSHOT, SEALED, finalNames, imageName } = require('./extensions.js');
const { expandName, readName } = require('./names.js');
const { program } = require('./program.js');
const { toReport, publish } = require('./report.js');
const { takeWithSidecar } = require('./sidecar.js');
const { writeSnapshot } = require('./promises.js');
const { checkPermission } = require('./snapshot.js');

const BUSY = 'A CPU profile or heapdump is already being created, please retry later.';
const LONGEST_NAME = 255;
const AT_LIMIT = ['exit', 'wait', 'continue'];
const debug = debuglog('heapdump');

let instance;

/** The singleton; the first call's options hold. */
function oomHeapdump(options = {}) {
  instance ??= new OomHeapdump(options);
  return instance;
}

class OomHeapdump {
  #busy = false;
  #hidden;
  #heapSnapshots = new Set();
  #cpuProfiles = new Set();

  constructor(options) {
    const { heapdumpOnOOM = true, port, threshold, limit = 3, atLimit = 'exit', record = 'always', exporter, report = false } = options;
    const { output, lowMemory, embed, redact, encryptTo } = options;
    const native = normalize({ mode: 'auto', fallback: 'error', output, lowMemory, embed, redact, encryptTo });
    this.#hidden = { redact, encryptTo };
    if (!AT_LIMIT.includes(atLimit)) throw invalidValue('atLimit', "one of 'exit', 'wait', 'continue'", atLimit);
    if (!['failure', 'always'].includes(record)) throw invalidValue('record', "'failure' or 'always'", record);
    if (exporter !== undefined && typeof exporter?.export !== 'function') throw invalidType('exporter', 'an exporter', exporter);
    if (typeof report !== 'boolean') throw invalidType('report', 'a boolean', report);
    if (port !== undefined) debug('port %d is not used: no inspector is needed', port);
    const taken = exporter || report ? handOver(exporter, options) : () => {};
    const target = snapshotTarget(options);
    // By its JSON the next process knows what was left under a pattern (oom-files.js).
    const keepRecord = record === 'always' || ((exporter !== undefined || report) && target.pattern !== undefined);
    if (heapdumpOnOOM) armAtLimit(target, native, { atLimit, keepRecord }, taken);
    if (threshold !== undefined) {
      const take = (file, over) => takeWithSidecar(file, over, { output, lowMemory, embed, redact, encryptTo }).then(taken);
      this.#watchThreshold(threshold, limit, target, take);
    }
  }

  /** Writes a snapshot; resolves with its path. Somebody awaits it, so it may be taken in process. */
  createHeapSnapshot(snapshotPath = path.resolve(inDefaultDirectory(`heapsnapshot-${Date.now()}`))) {
    return this.#create(this.#heapSnapshots, withExtension(snapshotPath, SNAPSHOT), async (file) => {
      const { path: written } = await writeSnapshot(file, this.#hidden);
      // As it was given, but for the ending of what is encrypted.
      return written.endsWith(SEALED) ? `${file}${SEALED}` : file;
    });
  }

  deleteHeapSnapshot(snapshotPath) {
    return remove(this.#heapSnapshots, snapshotPath);
  }

  deleteAllHeapSnapshots() {
    return removeAll(this.#heapSnapshots);
  }

  /** Profiles the CPU for `duration` ms; resolves with the profile's path. */
  createCpuProfile(cpuProfilePath = path.resolve(inDefaultDirectory(`cpuprofile-${Date.now()}`)), duration = 30000) {
    return this.#create(this.#cpuProfiles, withExtension(cpuProfilePath, '.cpuprofile'), async (file) => {
      await fs.writeFile(file, JSON.stringify(await profileCpu(duration)), { mode: 0o600 });
    });
  }

  deleteCpuProfile(cpuProfilePath) {
    return remove(this.#cpuProfiles, cpuProfilePath);
  }

  deleteAllCpuProfiles() {
    return removeAll(this.#cpuProfiles);
  }

  async #create(created, file, create) {
    if (this.#busy) throw new Error(BUSY);
    this.#busy = true;
    try {
      const final = (await create(file)) ?? file;
      created.add(final);
      return final;
    } finally {
      this.#busy = false;
    }
  }

  /** The first version's option: used heap after a full garbage collection, in percent of V8's limit. */
  #watchThreshold(percent, most, { file, pattern }, take) {
    const { PerformanceObserver, constants } = require('node:perf_hooks');
    let taken = 0;
    let running = false;
    const observer = new PerformanceObserver(async (list) => {
      const full = list.getEntries().some((entry) => entry.detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR);
      if (!full || running) return;
      const { used_heap_size: used, heap_size_limit: limit } = v8.getHeapStatistics();
      const threshold = { value: used, limit: (limit * percent) / 100 };
      if (used <= threshold.limit) return;
      running = true;
      taken += 1;
      if (taken >= most) observer.disconnect();
      const numbered = (number) => (number === 1 ? file : `${file.slice(0, -SNAPSHOT.length)}-${number}${SNAPSHOT}`);
      let number = taken;
      const isTaken = (name) => [name, imageName(name)].some((file) => existsSync(file) || existsSync(file + SEALED));
      while (pattern !== undefined && isTaken(numbered(number))) number += 1;
      // A trigger never throws into the application; a failure is published.
      await take(numbered(number), threshold).catch((error) => debug('threshold: %s', error.message));
      running = false;
    });
    observer.observe({ entryTypes: ['gc'] });
  }
}

/** What happens after the snapshot: 'exit' is its model's. A small record lies beside it, or in its place. */
function armAtLimit({ file, pattern }, native, { atLimit, keepRecord }, then) {
  const limit = {
    path: Buffer.from(path.resolve(file)),
    // Its model's names are written over: so they are, but for patterns.
    neverOverAnother: pattern !== undefined,
    atLimit,
    most: 1,
    announce: true,
    keepRecord,
    host: os.hostname(),
    node: process.version,
    thread: threadId,
    program: program(),
  };
  try {
    for (const name of finalNames(file, native)) {
      checkPermission(name);
      checkPermission(`${name}.json`);
    }
    const error = heap.armNearHeapLimit(limit, native, (event) => {
      if (event.error) {
        publish('error', { error: toError(event.error) });
        return;
      }
      const report = toReport(event.report);
      publish('end', { report });
      then(report.path);
    });
    if (error) throw toError(error);
  } catch ({ message, code }) {
    process.emitWarning(`no heap snapshot will be taken at the heap limit: ${message}`, {
      type: 'HeapdumpWarning',
      code,
    });
  }
}

/** What to do with each file from here on; those that earlier processes left are on their way. */
function handOver(exporter, { name, path: given, report }) {
  const files = new (require('./oom-files.js').OomFiles)({ exporter, report });
  files.takeWhatWasLeft(snapshotTarget({ name, path: given }), (given ?? name) === undefined);
  return (file) => files.take(file);
}

/** `name` of the first version, `path` of the later ones; the name of the file as a pattern where it is one. */
function snapshotTarget({ name, path: given, addTimestamp }) {
  const { file, pattern } = withoutPattern(given ?? name);
  let stem = file.endsWith(SNAPSHOT) ? file.slice(0, -SNAPSHOT.length) : file;
  if (addTimestamp) stem += `-${timestamp(new Date())}`;
  const { dir, base } = path.parse(stem);
  return { file: path.join(dir, base.slice(0, LONGEST_NAME - SNAPSHOT.length) + SNAPSHOT), pattern };
}

function withoutPattern(given) {
  if (given === undefined) {
    const pattern = readName();
    const own = isMainThread ? `OoM-pid-${process.pid}` : `OoM-pid-${process.pid}-thread-${threadId}`;
    return { file: inDefaultDirectory(pattern === undefined ? own : expandName(pattern, 'oom')), pattern };
  }
  const { dir, base } = path.parse(given);
  if (!/\{\w+\}/.test(base)) return { file: given };
  return { file: path.join(dir, expandName(readName(base), 'oom')), pattern: base };
}

/** `%Y%m%dT%H%M%S`, local time. */
function timestamp(date) {
  const two = (number) => String(number).padStart(2, '0');
  const day = `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}`;
  return `${day}T${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`;
}

const withExtension = (file, extension) => (file.endsWith(extension) ? file : file + extension);

async function remove(created, file) {
  if (!created.has(file)) throw new Error(`File not found:${file}`);
  created.delete(file);
  await fs.unlink(file);
  return file;
}

function removeAll(created) {
  return Promise.all([...created].map((file) => remove(created, file)));
}

async function profileCpu(duration) {
  const { Session } = require('node:inspector/promises');
  const session = new Session();
  session.connect();
  try {
    await session.post('Profiler.enable');
    await session.post('Profiler.start');
    await new Promise((resolve) => setTimeout(resolve, duration));
    const { profile } = await session.post('Profiler.stop');
    return profile;
  } finally {
    session.disconnect();
  }
}

module.exports = oomHeapdump;

'use strict';

// What all exporters share: the contract, the name of what they store, and its length and digest.

const os = require('node:os');
const path = require('node:path');
const { fileURLToPath } = require('node:url');

const { abortError, exportFailed, invalidType, invalidValue } = require('../errors.js');
const { Input } = require('./input.js');

/** Of OpenProfiling's profiles. */
const KINDS = {
  HEAP_SNAPSHOT: 'heapsnapshot',
  HEAP_PROFILE: 'heapprofile',
  CPU_PROFILE: 'cpuprofile',
  PERFECTO: 'json',
};
const FAILED = 2;

class Exporter {
  /**
   * Stores what `source` gives: a path, a function that gives a new Readable each time it is called, or a Readable.
   * Errors of the source are passed on as they are, those of the store with the code ERR_HEAPDUMP_EXPORT.
   */
  async export(source, { name = defaultName(source), signal } = {}) {
    checkName(name);
    if (signal?.aborted) throw abortError(signal.reason);
    await this.prepare();
    const input = new Input(source, signal);
    try {
      const location = await this.store(input, { name, signal });
      return { location, bytes: input.bytes, sha256: input.sha256 };
    } catch (error) {
      if (signal?.aborted) throw abortError(signal.reason);
      if (input.error) throw input.error;
      throw error.code?.startsWith?.('ERR_HEAPDUMP_') ? error : this.failed(error);
    } finally {
      input.close();
    }
  }

  /** Loads what the exporter needs; to be called at the start of a program that wants to know then what is missing. */
  async prepare() {}

  failed(error) {
    return exportFailed(this.constructor.name, error);
  }

  // OpenProfiling's contract for exporters.

  enable() {}

  disable() {}

  async onProfileStart() {}

  async onProfileEnd(profile) {
    if (profile.status === FAILED) return undefined;
    const { Readable } = require('node:stream');
    const source = profile.source ?? (() => Readable.from([profile.data]));
    return this.export(source, { name: profileName(profile) });
  }
}

/** Unique, sorted by time, and valid on every system. */
function defaultName(source, ending = '.heapsnapshot') {
  if (source instanceof URL) return path.basename(fileURLToPath(source));
  if (typeof source === 'string') return path.basename(source);
  const host = os.hostname().replace(/[^\w.-]/g, '_').slice(0, 100);
  return `heapdump-${host}-${process.pid}-${stamp(new Date())}-${unique()}${ending}`;
}

function profileName({ kind, startTime, extension = KINDS[kind] ?? 'profile' }) {
  return `${kind.toLowerCase()}-${stamp(startTime)}-${process.pid}-${unique()}.${extension}`;
}

/** ISO 8601 without colons, which Windows does not allow in names. */
const stamp = (date) => date.toISOString().replaceAll(':', '-');

let last = 0;
const unique = () => ++last;

/** One component of a path: it may come from far away. */
function checkName(name) {
  if (typeof name !== 'string') throw invalidType('name', 'a string', name);
  if (name === '' || name.length > 255 || /[/\\\0-\x1f]|^\.{1,2}$/.test(name)) {
    throw invalidValue('name', 'a file name without directories', name);
  }
}

/** A non-empty string of an exporter's options. */
function requireString(name, value) {
  if (typeof value !== 'string' || value === '') throw invalidType(name, 'a string', value);
  return value;
}

/** For stores: what a file of that name is. */
const contentType = (name) => TYPES[path.extname(name)] ?? 'application/octet-stream';

/** RFC 6713, RFC 8878. */
const TYPES = { '.gz': 'application/gzip', '.zst': 'application/zstd' };

module.exports = { Exporter, defaultName, requireString, contentType };

'use strict';

// writeSnapshot in its three shapes: with a callback, synchronous, and (for lib/promises.js) with an end function.

const { AsyncResource } = require('node:async_hooks');
const path = require('node:path');
const { fileURLToPath } = require('node:url');

const { heap, nextId, startBeforeExit } = require('./native.js');
const { inDefaultDirectory } = require('./directory.js');
const { EXTENSION, addedTo, finalNames } = require('./extensions.js');
const { expandName, readName } = require('./names.js');
const { normalize } = require('./options.js');
const { toError, abortError, invalidValue, accessDenied } = require('./errors.js');
const { toReport, publish } = require('./report.js');

/**
 * Drop-in for node-heapdump's. Returns whether a snapshot was started (fork mode) or written (in process); never throws
 * for what the system says.
 */
function writeSnapshot(filename, callback) {
  const call = readArguments(filename, callback, arguments[2]);
  const done = call.callback && AsyncResource.bind(call.callback);
  let ok = true;
  begin(call.name, call.options, (error, report, name) => {
    ok = error === null;
    if (done === undefined) return;
    if (error !== null) done(error);
    else done(null, name, report);
  });
  return ok;
}

/** Takes a snapshot in process, now. Returns its report; throws what goes wrong. */
function writeSnapshotSync(filename, options) {
  const call = readArguments(filename, options);
  normalize(call.options);
  let outcome;
  begin(call.name, { ...call.options, mode: 'inline' }, (error, report) => (outcome = { error, report }));
  if (outcome.error !== null) throw outcome.error;
  return outcome.report;
}

/** What runs and waits in this process, all threads together, and how the last snapshot of it ended. */
function getStatus() {
  const { running, waiting, last } = heap.status();
  return {
    inProgress: running + waiting > 0,
    running,
    waiting,
    last: last?.report ? toReport(last.report) : undefined,
    lastError: last?.error ? { code: last.error.code, message: last.error.message } : undefined,
  };
}

/**
 * Node-heapdump's rules for arguments: a function in the first place is the callback and the second is ignored; only
 * strings (and, ours, Buffers and file: URLs) are names. Ours: an object before the callback holds options.
 */
function readArguments(first, second, third) {
  if (typeof first === 'function') return { callback: first };
  if (isOptions(first)) return { options: first, callback: checkCallback(second) };
  const hasOptions = typeof second === 'object' && second !== null;
  return {
    name: isName(first) ? first : undefined,
    options: hasOptions ? second : undefined,
    callback: checkCallback(hasOptions ? third : second),
  };
}

const isName = (value) => typeof value === 'string' || Buffer.isBuffer(value) || value instanceof URL;

function isOptions(value) {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function checkCallback(callback) {
  if (!callback) return undefined;
  if (typeof callback !== 'function') throw new TypeError('cb is not a function');
  return callback;
}

/**
 * Starts a snapshot. `end(error, report, name)` is called once: before this returns when the target cannot be opened, when it
 * is aborted by then, or when the snapshot is taken in process. Throws only for wrong options.
 */
function begin(name, options, end) {
  const native = { ...normalize(options), ...defaultPlace(name, options?.name) };
  const { signal, onProgress } = options ?? {};
  const finish = (error, report, finalName) => {
    if (error !== null) publish('error', { error, path: error.path });
    else publish('end', { report });
    end(error, report, finalName);
  };
  if (signal?.aborted) return finish(abortError(signal.reason));
  let target;
  try {
    target = toTarget(name, native);
  } catch (error) {
    return finish(error);
  }

  const id = nextId();
  const abort = () => heap.cancel(id);
  const settle = (event) => {
    signal?.removeEventListener('abort', abort);
    if (event.error) return finish(toError(event.error, signal?.reason));
    const report = toReport(event.report, Buffer.isBuffer(name));
    finish(null, report, nameOf(target, report));
  };

  publish('start', { path: target.bytes?.toString(), mode: native.inProcess ? 'inline' : 'fork' });
  // A subscriber may have aborted it.
  if (signal?.aborted) return finish(abortError(signal.reason));
  const report = onProgress && AsyncResource.bind(onProgress);
  const hear = (event) => {
    if (event.progress) report(event.progress);
    else if (!event.becomesImage) settle(event);
  };
  let started;
  try {
    const start = () => startNative(id, target.bytes, native, hear);
    started = native.inProcess ? start() : startBeforeExit(start);
  } catch (error) {
    return finish(error);
  }
  if (started.end) return settle(started.end);
  signal?.addEventListener('abort', abort, { once: true });
}

/** Where a file without a filename goes, and what it is called. */
function defaultPlace(filename, pattern) {
  if (filename !== undefined) {
    if (pattern !== undefined) throw invalidValue('name', 'absent where there is a filename', pattern);
    return {};
  }
  const name = readName(pattern);
  return { directory: heap.options().directory, stem: name && expandName(name, 'call') };
}

function startNative(id, bytes, native, listener) {
  const profilerMissing = native.content === 'image' ? undefined : heap.profilerUnavailable();
  // Where that is not allowed, the addon tells why it cannot fork.
  if (profilerMissing && (native.inProcess || native.fallbackInline)) {
    const error = native.inProcess ? undefined : heap.tooLittleMemory();
    return error ? { end: { error } } : writeByV8(bytes, native, profilerMissing);
  }
  return native.inProcess ? heap.writeSync(bytes, native) : heap.write(id, bytes, native, listener);
}

/** The name as bytes, checked before anything is opened. */
function toTarget(name, native) {
  if (name === undefined) {
    const stem = inDefaultDirectory((native.stem ?? 'heapdump') + EXTENSION);
    for (const file of finalNames(stem, native)) checkPermission(file);
    return {};
  }
  const plain = name instanceof URL ? fileURLToPath(name) : name;
  const bytes = Buffer.from(plain);
  if (bytes.includes(0)) throw invalidValue('filename', 'a name without null bytes', name);
  for (const file of finalNames(bytes.toString(), native)) checkPermission(file);
  return { name: plain, extension: addedTo(native), bytes };
}

/** The name that the caller gets back: as passed but for its end, or the default one, relative. */
function nameOf({ name, extension }, { kind, path: file }) {
  // Another process may have taken it meanwhile.
  if (name === undefined) return inDefaultDirectory(path.basename(file));
  if (kind === 'image') {
    const isBuffer = Buffer.isBuffer(name);
    // Of images there are none on Windows.
    const parts = [name.slice(0, name.lastIndexOf('/') + 1), file.slice(file.lastIndexOf('/') + 1)];
    return isBuffer ? Buffer.concat(parts) : parts.join('');
  }
  if (extension === '') return name;
  return Buffer.isBuffer(name) ? Buffer.concat([name, Buffer.from(extension)]) : name + extension;
}

/** Native code is not stopped by Node's permission model, so it is asked. */
function checkPermission(file) {
  if (process.permission === undefined) return;
  const resource = path.resolve(file);
  if (!process.permission.has('fs.write', resource)) throw accessDenied(resource);
}

/** For a Node whose profiler the addon cannot reach: V8 writes a file by itself, which then gets our guarantees. */
function writeByV8(bytes, native, reason) {
  if (native.redact) {
    const message = 'the heap snapshot cannot be redacted: V8 would write it to the disk as it is first';
    return { end: { error: { code: 'ERR_HEAPDUMP_REDACT', message } } };
  }
  if (native.encrypt) {
    const message = 'the heap snapshot cannot be encrypted: V8 would write it to the disk in clear first';
    return { end: { error: { code: 'ERR_HEAPDUMP_ENCRYPT', message } } };
  }
  const { writeHeapSnapshot } = require('node:v8');
  const { NewFile } = require('./new-file.js');
  const directory = bytes === undefined ? (native.directory ?? '.') : path.dirname(path.resolve(bytes.toString()));
  let raw;
  try {
    // For its owner alone from the first byte, and no link of somebody else's: V8 opens whatever is there.
    raw = new NewFile(path.join(directory, 'raw'), { named: true });
    const { exposeInternals, exposeNumericValues } = native;
    writeHeapSnapshot(raw.temporary.toString(), { exposeInternals, exposeNumericValues });
    return heap.importFile(raw.temporary, bytes, { ...native, reason });
  } catch (error) {
    const { errno, syscall = 'open' } = error;
    if (errno === undefined) throw error;
    return { end: { error: { errno, syscall, path: bytes ?? Buffer.from(directory), message: error.message } } };
  } finally {
    raw?.close();
  }
}

module.exports = { writeSnapshot, writeSnapshotSync, getStatus, begin, readArguments, checkPermission };

'use strict';

// The main entry: a drop-in for node-heapdump. Loading it installs the signal, which no subpath does; all else is loaded
// when it is first used.

const { heap } = require('./lib/native.js');

/** Drop-in for node-heapdump's `writeSnapshot([filename], [callback])`; see index.d.ts. */
function writeSnapshot(filename, callback) {
  return require('./lib/snapshot.js').writeSnapshot(filename, callback, arguments[2]);
}

function writeSnapshotSync(filename, options) {
  return require('./lib/snapshot.js').writeSnapshotSync(filename, options);
}

function createSnapshotStream(options) {
  return require('./lib/stream.js').createSnapshotStream(options);
}

function getStatus() {
  return require('./lib/snapshot.js').getStatus();
}

const { signal, unrecognized } = heap.options();
const special = unrecognized.length > 0 || process.listenerCount(signal) > 0 || process.permission !== undefined;
const permission = special ? require('./lib/signal.js').prepare(heap.options()) : undefined;
// A second copy of this package in the same thread would write a second file for each signal.
const installed = Symbol.for('heapdump-rs.signal');
if (signal !== undefined && process[installed] === undefined) {
  Object.defineProperty(process, installed, { value: signal });
  // Both are called Node.js-compatible and have no libuv: Bun even ends the process when it is called.
  if (process.versions.bun || process.versions.deno) require('./lib/signal.js').warnOfRuntime(signal);
  else {
    heap.installSignal((event) => require('./lib/signal.js').tell(signal, event), permission);
    process.on('newListener', (event) => {
      if (event === signal) require('./lib/signal.js').standBeside(signal);
    });
    if (special) require('./lib/signal.js').standBeside(signal);
  }
}

module.exports = { writeSnapshot, writeSnapshotSync, createSnapshotStream, getStatus };

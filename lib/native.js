'use strict';

// The addon, and this environment's (main thread's or worker's) part of it. Loading it is most of the cost of
// `require('heapdump-rs')`, so nothing else is loaded here.

const addon = load();

const { NODE_HEAPDUMP_OPTIONS = '', NODE_OPTIONS = '' } = process.env;
const thread = NODE_HEAPDUMP_OPTIONS.includes('{thread}') ? require('node:worker_threads').threadId : undefined;
const heap = new addon.Heap(NODE_HEAPDUMP_OPTIONS, NODE_OPTIONS, Array.from(process.execArgv ?? [], String), thread);

// There will be no further turn of the event loop: what was accepted is forked before the thread ends.
let exiting = false;
process.on('exit', () => {
  exiting = true;
  heap.flush();
  // Unless somebody only emitted the event.
  setImmediate(() => {
    exiting = false;
    heap.resume();
  }).unref();
});

let lastId = 0;

/** The first binary that loads: built here, or installed for this platform. GNU or musl is decided by that alone. */
function load() {
  const platform = `${process.platform}-${process.arch}`;
  const variants = { linux: ['-gnu', '-musl'], win32: ['-msvc', '-gnu'] }[process.platform] ?? [''];
  const tried = [];
  for (const variant of variants) {
    for (const name of [`../heapdump-rs.${platform}${variant}.node`, `heapdump-rs-${platform}${variant}`]) {
      try {
        return require(name);
      } catch (error) {
        tried.push({ name, error });
      }
    }
  }
  throw require('./no-binary.js').noBinary(platform, tried);
}

module.exports = { addon, heap, nextId: () => ++lastId, isExiting: () => exiting };

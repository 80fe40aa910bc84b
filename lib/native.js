'use strict';

// The addon, and this environment's (main thread's or worker's) part of it. Loading it is most of the cost of
// `require('heapdump-rs')`, so nothing else of ours is loaded here.

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

/** Runs `start`. In the 'exit' event, what it asks for finds V8's platform open, and is forked before this returns. */
function startBeforeExit(start) {
  if (!exiting) return start();
  heap.resume();
  try {
    return start();
  } finally {
    heap.flush();
  }
}

let lastId = 0;

/** The first binary that loads: built here, or installed for this platform. GNU or musl is decided by that alone. */
function load() {
  const platform = `${process.platform}-${process.arch}`;
  const variants = { linux: ['-gnu', '-musl'], win32: ['-msvc', '-gnu'] }[process.platform] ?? [''];
  const tried = [];
  for (const variant of variants) {
    const addon = loadLocal(platform + variant, tried) ?? loadInstalled(platform + variant, tried);
    if (addon !== undefined) return addon;
  }
  throw require('./no-binary.js').noBinary(platform, tried);
}

/** Only where this package was built from source. */
function loadLocal(target, tried) {
  try {
    const file = `${__dirname}/../heapdump-rs.${target}.node`;
    // Not by a `require` that bundlers see: they would warn that it is missing.
    if (require('node:fs').existsSync(file)) return require('node:module').createRequire(__filename)(file);
  } catch (error) {
    tried.push({ name: `../heapdump-rs.${target}.node`, error });
  }
  return undefined;
}

/** Bundlers and tracers need each name as a literal, and look for the `try` around it: most packages are not there. */
function loadInstalled(target, tried) {
  try {
    switch (target) {
      case 'linux-x64-gnu':
        return require('heapdump-rs-linux-x64-gnu');
      case 'linux-x64-musl':
        return require('heapdump-rs-linux-x64-musl');
      case 'linux-arm64-gnu':
        return require('heapdump-rs-linux-arm64-gnu');
      case 'linux-arm64-musl':
        return require('heapdump-rs-linux-arm64-musl');
      case 'darwin-x64':
        return require('heapdump-rs-darwin-x64');
      case 'darwin-arm64':
        return require('heapdump-rs-darwin-arm64');
      case 'win32-x64-msvc':
        return require('heapdump-rs-win32-x64-msvc');
      case 'win32-arm64-msvc':
        return require('heapdump-rs-win32-arm64-msvc');
    }
  } catch (error) {
    tried.push({ name: `heapdump-rs-${target}`, error });
  }
  return undefined;
}

module.exports = { addon, heap, nextId: () => ++lastId, startBeforeExit };

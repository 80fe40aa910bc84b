'use strict';

// A Node.js process without heapdump-rs that dies in the way its argument says, or waits to be killed.

const [, , way, library] = process.argv;

class PlantedInCore {
  text = `planted in process ${process.pid}`;
}

globalThis.planted = new PlantedInCore();
globalThis.kept = Array.from({ length: 100_000 }, (_, i) => ({ i, text: `number ${i}` }));

const ready = () => console.log('ready');

const WAYS = {
  abort: () => process.abort(),
  uncaught: () => {
    throw new Error('nobody catches this');
  },
  objects: () => {
    for (const all = []; ; ) all.push({ text: `object ${all.length}` });
  },
  arrays: () => {
    for (const all = []; ; ) all.push(new Array(10_000).fill(all.length));
  },
  idle: () => {
    setInterval(() => {}, 1000);
    ready();
  },
  busy: () => {
    ready();
    for (;;) allocate();
  },
  // Other isolates compute, libuv's pool and V8's workers are at work, and the main thread goes on by itself.
  workers: () => {
    const { Worker } = require('node:worker_threads');
    const { pbkdf2 } = require('node:crypto');
    const source = `const all = []; for (;;) { for (let i = 0; i < 1000; i++) all[i] = { i }; require('worker_threads').parentPort.postMessage(all.length); }`;
    for (let i = 0; i < 2; i++) new Worker(source, { eval: true }).on('message', () => {});
    const again = () => pbkdf2('a', 'b', 20_000, 64, 'sha512', again);
    again();
    setInterval(allocate, 1);
    setTimeout(ready, 500);
  },
  // The main thread is in fork(2), waits for the child's execve(2), or hears of its end.
  spawns: () => {
    const { spawn } = require('node:child_process');
    const again = () => spawn('/bin/true').on('exit', again);
    again();
    setTimeout(ready, 200);
  },
  // libuv asks the kernel by io_uring where UV_USE_IO_URING=1 says so (Node.js 20): its tasks are listed as threads.
  files: () => {
    const fs = require('node:fs/promises');
    const again = () => fs.readFile(__filename).then(again);
    for (let i = 0; i < 4; i++) again();
    setTimeout(ready, 200);
  },
  // The fault is in a library's own code, which JavaScript has called.
  native: () => load(library).fail(),
  // The main thread waits for one that aborts, as it does for a compiler of V8's that runs out of memory.
  waits: () => load(library).wait(),
};

function load(file) {
  const module = { exports: {} };
  process.dlopen(module, file);
  return module.exports;
}

function allocate() {
  const all = [];
  for (let i = 0; i < 1000; i++) all.push({ i, text: `short-lived ${i}` });
  return all;
}

setTimeout(WAYS[way], 50);
// When nobody is left to end it.
setTimeout(() => process.exit(1), require('../../harness/limits.cjs').PROGRAM).unref();

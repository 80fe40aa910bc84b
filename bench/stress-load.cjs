'use strict';

// What makes a fork hard: garbage collection, compilation and thread pool work under way at every moment. Runs on the
// main thread and in workers; busy for `duty` of the time, so that the child on the same cores gets on.

const { setTimeout: sleep } = require('node:timers/promises');
const { isMainThread, workerData } = require('node:worker_threads');
const zlib = require('node:zlib');

/** Objects that live for a while and die: young and old generation, concurrent marking, sweeping. */
function* churn() {
  const ring = new Array(20_000);
  for (let n = 0; ; n = (n + 1) | 0) {
    ring[n % ring.length] = { n, text: `${n}:${'x'.repeat(n % 50)}`, list: [n, n + 0.5, { n }], at: new Date(n) };
    if (n % 500 === 0) {
      // New code to compile, optimise and throw away.
      const calculate = new Function('a', 'b', `let s = ${n}; for (let i = 0; i < 2000; i++) s = (s + a * i + b) % 9973; return s;`);
      for (let i = 0; i < 20; i++) calculate(i, n);
      yield;
    }
  }
}

/** Compresses on the thread pool without end, a few blocks at a time. */
async function compress(duty) {
  const block = Buffer.alloc(256 * 1024, 'the quick brown fox ');
  for (;;) {
    const start = performance.now();
    await new Promise((resolve, reject) => zlib.deflate(block, (error) => (error ? reject(error) : resolve())));
    await sleep((performance.now() - start) * (1 / duty - 1));
  }
}

async function busy(duty) {
  const work = churn();
  for (;;) {
    const start = performance.now();
    while (performance.now() - start < 8) work.next();
    await sleep(8 * (1 / duty - 1));
  }
}

/** Starts the load; it ends with the thread. */
function load(duty) {
  void busy(duty);
  if (isMainThread) for (let i = 0; i < 2; i++) void compress(duty);
}

module.exports = { load };

if (!isMainThread && workerData?.stress) load(workerData.stress);

// The example server with a measuring instrument inside: takes snapshots when its parent says so, and tells the
// longest time that its event loop stood still meanwhile.

import { setTimeout as sleep } from 'node:timers/promises';
import v8 from 'node:v8';

import { writeSnapshot } from '../../lib/promises.js';
import '../../examples/leaking-server.mjs';

let last = performance.now();
let worst = 0;
// A timer of 1 ms that comes later than that has waited for the event loop.
setInterval(() => {
  const now = performance.now();
  worst = Math.max(worst, now - last - 1);
  last = now;
}, 1);

const WAYS = {
  fork: (file) => writeSnapshot(file, { mode: 'fork', onProgress: (progress) => process.send({ progress }) }),
  v8: (file) => v8.writeHeapSnapshot(file),
  nothing: () => sleep(2000),
};

process.on('message', async ({ way, file }) => {
  await sleep(20);
  worst = 0;
  const start = performance.now();
  try {
    const report = await WAYS[way](file);
    const took = performance.now() - start;
    await sleep(20);
    process.send({ result: { stall: worst, took, report, heap: process.memoryUsage().heapUsed } });
  } catch (error) {
    process.send({ error: `${error.code}: ${error.message}` });
  }
});

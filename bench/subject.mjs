// The process that is measured: fills its heap, takes one snapshot in the way it is told, and says what it cost.
// argv: fork | v8 | idle, megabytes, file. Prints one line of JSON.

import { createRequire } from 'node:module';
import { readFileSync, statSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import v8 from 'node:v8';

import { fill } from './heap.mjs';

const require = createRequire(import.meta.url);
const [way, megabytes, file] = process.argv.slice(2);
const kept = fill(Number(megabytes));
const heapUsed = process.memoryUsage().heapUsed;
// Idle for a moment, so that what the filling left to do (sweeping, finalising) is not counted.
await sleep(1500);

// The stall: how much later than 1 ms after the one before a 1 ms timer comes.
let last = performance.now();
let worst = 0;
let worstAt = 0;
const timer = setInterval(() => {
  const now = performance.now();
  if (now - last - 1 > worst) {
    worst = now - last - 1;
    worstAt = last;
  }
  last = now;
}, 1);

// The application's own garbage collections stall it as well.
let longestGc = 0;
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) longestGc = Math.max(longestGc, duration);
}).observe({ type: 'gc' });

/** CPU time in seconds of this process and of the children that it has reaped (proc(5), stat). */
function cpuSeconds() {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1).split(' ');
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks) / 100, 0);
}

/** The longest stall from now until `task` is done, and a little longer, in ms; and how long it took. */
async function measure(task) {
  await sleep(50);
  worst = 0;
  longestGc = 0;
  const start = performance.now();
  const cpu = cpuSeconds();
  const result = await task();
  const took = performance.now() - start;
  await sleep(50);
  return { stall: worst, stallAt: worstAt - start, gc: longestGc, took, cpu: cpuSeconds() - cpu, result };
}

/** This process' largest resident memory so far, in bytes. */
const peak = () => process.resourceUsage().maxRSS * 1024;

const WAYS = {
  v8: async () => {
    v8.writeHeapSnapshot(file);
    return {};
  },
  fork: () => require('../lib/promises.js').writeSnapshot(file, { mode: 'fork' }),
  idle: () => sleep(2000),
};

// Loaded before the clock starts: this is about the snapshot.
if (way === 'fork') require('../lib/promises.js');
const before = peak();
const measured = await measure(WAYS[way]);
clearInterval(timer);
const { stall, stallAt, gc, took, cpu, result } = measured;
console.log(
  JSON.stringify({
    way,
    stall,
    stallAt,
    gc,
    took,
    cpu,
    report: result,
    heapUsed,
    rss: Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0) * 1024,
    peakBefore: before,
    peakAfter: peak(),
    bytes: way === 'idle' ? 0 : statSync(file).size,
    records: kept.size,
  }),
);

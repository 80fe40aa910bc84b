// The server that is measured: fills its heap, says `ready`, and when it is told to writes what it is asked for, in turns, while
// its event loop goes on. argv: megabytes, directory, way… Prints one line of JSON.

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { fill } from './heap.mjs';

const { writeSnapshot } = createRequire(import.meta.url)('../lib/promises.js');
const [megabytes, directory, ...ways] = process.argv.slice(2);
const OPTIONS = {
  image: { output: 'image' },
  packed: { output: 'image', compress: 'zstd' },
  plain: {},
  refused: {},
};

let answers = [];
const kept = fill(Number(megabytes));
let [last, stall, ticks] = [performance.now(), 0, 0];
const timer = setInterval(() => {
  const now = performance.now();
  stall = Math.max(stall, now - last);
  last = now;
  ticks += 1;
  // What a server does: a little garbage, a little of its heap.
  answers = Array.from({ length: 500 }, (_, i) => ({ i, text: `answer ${i}` }));
  for (let i = 0; i < 10; i++) kept.get((ticks * 10 + i) % kept.size).counters[0] = ticks;
}, 5);
// As a server that has been at work for a while: its young generation has the size that it keeps.
await sleep(3000);
console.log('ready');
await once(process.stdin.resume(), 'end');
[stall, ticks] = [0, 0];
const reports = {};
for (const way of ways) {
  const file = join(directory, `${way}.heapsnapshot`);
  reports[way] = await writeSnapshot(file, { mode: 'fork', ...OPTIONS[way] }).catch(({ code, message }) => ({ code, message }));
}
clearInterval(timer);
console.log(JSON.stringify({ reports, stall, ticks, answers: answers.length }));

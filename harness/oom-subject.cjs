'use strict';

// The process that runs out of memory. argv: the way to keep evidence, the shape of the leak. It writes the time to
// descriptor 3 again and again, from the very thread that leaks: while it stands still nothing comes.

const fs = require('node:fs');
const { Worker, isMainThread } = require('node:worker_threads');

const MB = 1024 * 1024;
/** Big Buffers never touch V8's limit: the program ends by itself, and a monitor of resident memory sees them. */
const MOST_BUFFERS = 1000 * MB;
const WATCHED_BUFFERS = 300 * MB;
/** In a group of 256 MB the kernel ends it soon after. */
const WATCHED_IN_GROUP = 100 * MB;

const [way, shape, evidence, peer] = process.argv.slice(2);

const WAYS = {
  none() {},
  core() {},
  // Where there can be no file V8 is answered all the same, and nothing is done: what it does by itself then.
  raise: () => require('../lib/oom.js')({ path: '/proc/none/evidence', atLimit: 'continue', record: 'failure' }),
  // The drop-in with an option of ours: the process goes on once the child is forked.
  fork() {
    require('../lib/oom.js')({ path: evidence, atLimit: 'continue' });
    if (shape === 'buffers') require('../lib/monitor.js').monitor({ rss: WATCHED_BUFFERS, interval: 50 });
  },
  exit: () => require('../lib/oom.js')({ path: evidence }),
  image: () => require('../lib/oom.js')({ path: evidence, output: 'image' }),
  'low-memory'() {
    require('../lib/oom.js')({ path: evidence, lowMemory: 'image' });
    if (shape === 'buffers') require('../lib/monitor.js').monitor({ rss: WATCHED_IN_GROUP, interval: 50, lowMemory: 'image' });
  },
  peer: () => require(peer)({ path: evidence, heapdumpOnOOM: true }),
};

const kept = (globalThis.kept = []);
let buffered = 0;

/** Each call leaks (or churns) a little; false ends the program. */
const SHAPES = {
  objects: () => kept.push({ a: kept.length, b: { c: kept.length } }),
  strings: () => kept.push(`${kept.length} `.repeat(2000).split('').join('')),
  arrays: () => kept.push(new Array(1000).fill(kept.length + 0.5)),
  closures: () => kept.push(((number) => () => number)(kept.length)),
  sync: () => kept.push({ a: kept.length, b: { c: kept.length } }),
  worker: () => kept.push({ a: kept.length, b: { c: kept.length } }),
  // 20 million references in one array, then whatever else is left to leak.
  array160() {
    if (kept.length === 0) kept.push(new Array(20e6).fill(kept));
    kept.push(new Array(1000).fill(0.5));
  },
  buffers() {
    kept.push(Buffer.alloc(MB, 1));
    buffered += MB;
    return buffered < MOST_BUFFERS;
  },
  // Their objects on V8's heap reach its limit at last.
  smallbuffers: () => kept.push(Buffer.alloc(100, 1), new Uint8Array(100)),
  churn() {
    kept[buffered % 20_000] = { a: buffered, text: `text ${buffered}` };
    return buffered++ < 6e6;
  },
};

const time = new Float64Array(1);
const bytes = new Uint8Array(time.buffer);
function beat() {
  time[0] = performance.timeOrigin + performance.now();
  fs.writeSync(3, bytes);
}

const grow = SHAPES[shape];
function batch() {
  const end = performance.now() + 5;
  do {
    for (let i = 0; i < 20; i++) if (grow() === false) return false;
  } while (performance.now() < end);
  beat();
  return true;
}

function run() {
  WAYS[way]();
  beat();
  if (shape === 'sync' || shape === 'worker') {
    while (batch());
  } else {
    const turn = () => batch() && setImmediate(turn);
    turn();
  }
}

if (shape === 'worker' && isMainThread) {
  // V8's flag is its limit too. It ends, and this thread goes on.
  new Worker(__filename, { argv: process.argv.slice(2) }).on('error', () => {});
} else {
  run();
}

// node bench/redact.mjs [PAIRS [texts]]: CPU of the child that takes a snapshot as it is, without its texts, and encrypted, in turns
// in one process, so that a machine that is busy is so for all of them. Of 50 MB of ordinary objects, or of a heap that is half texts.

import { createRequire } from 'node:module';
import { readFileSync, rmSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { fill } from './heap.mjs';

const require = createRequire(import.meta.url);
const { writeSnapshot } = require('../lib/promises.js');

/** Of its nodes more than half are texts, each of them another one. */
class Session {
  constructor(id) {
    this.id = id;
    this.token = `tok-${Math.random().toString(36).slice(2)}${id}`;
    this.user = { name: `User ${id}`, email: `u${id}@example.org` };
    this.items = [id, id + 1, `v${id}`];
  }
}

function fillWithTexts() {
  const sessions = new Map(Array.from({ length: 40_000 }, (_, id) => [`key${id}`, new Session(id)]));
  const dictionary = Object.fromEntries(Array.from({ length: 5_000 }, (_, id) => [`customer-${id}`, { id }]));
  return { sessions, dictionary };
}

globalThis.kept = process.argv[3] === 'texts' ? fillWithTexts() : fill(50);

/** RECIPIENT=age1… measures that as well. */
const recipient = process.env.RECIPIENT;
const WAYS = { plain: {}, redact: { redact: true }, ...(recipient && { encryptTo: { encryptTo: recipient } }) };
const pairs = Number(process.argv[2] ?? 8);
const directory = mkdtempSync(join(tmpdir(), 'heapdump-bench-'));
const spent = Object.fromEntries(Object.keys(WAYS).map((way) => [way, []]));
try {
  for (let pair = 0; pair < pairs; pair++) {
    for (const [way, options] of Object.entries(WAYS)) {
      const before = ofChildren();
      const { nodes, bytes } = await writeSnapshot(join(directory, `${way}-${pair}`), options);
      spent[way].push({ cpu: ofChildren() - before, nodes, bytes });
    }
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
console.log(`${spent.plain[0].nodes} nodes, ${pairs} pairs, Node.js ${process.version}`);
for (const [way, runs] of Object.entries(spent)) {
  const ratios = runs.map(({ cpu }, pair) => cpu / spent.plain[pair].cpu);
  console.log(`${way.padEnd(10)} ${median(runs.map(({ cpu }) => cpu)).toFixed(2)} s, ${median(ratios).toFixed(2)} of plain, ${(runs[0].bytes / 1e6).toFixed(1)} MB`);
}

/** Seconds of CPU of children that have ended (cutime and cstime of proc(5)), to a hundredth. */
function ofChildren() {
  const fields = readFileSync('/proc/self/stat', 'utf8').replace(/^.*\) /s, '').split(' ');
  return (Number(fields[13]) + Number(fields[14])) / 100;
}

// The process that is stressed: fills its heap, puts itself under load, and takes snapshots when its parent says so.
// argv: megabytes, duty.

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

import { fill } from './heap.mjs';

const require = createRequire(import.meta.url);
const { writeSnapshot } = require('../lib/promises.js');
const { load } = require('./stress-load.cjs');

/** A child under load on two cores needs many times what it needs alone; after this it counts as hung. */
const TIMEOUT_MS = 300_000;

const [megabytes, duty] = process.argv.slice(2).map(Number);
const kept = megabytes > 0 ? fill(megabytes) : undefined;
const script = fileURLToPath(new URL('./stress-load.cjs', import.meta.url));
for (let i = 0; i < 2; i++) new Worker(script, { workerData: { stress: duty } });
load(duty);

process.on('message', async (file) => {
  try {
    process.send({ report: await writeSnapshot(file, { timeout: TIMEOUT_MS }), records: kept?.size });
  } catch ({ code, message }) {
    process.send({ error: { code, message } });
  }
});
process.on('disconnect', () => process.exit());
process.send('ready');

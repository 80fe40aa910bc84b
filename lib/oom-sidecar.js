'use strict';

// The snapshot of the drop-in's `threshold`, with what is known of it beside it.

const fs = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');
const v8 = require('node:v8');
const { threadId } = require('node:worker_threads');

const { writeSnapshot } = require('./promises.js');

/** Resolves with its path. The JSON is a monitor's (src/snapshot/sidecar.rs), written before and again at the end. */
async function takeWithSidecar(file, threshold) {
  const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
  const heapLimit = v8.getHeapStatistics().heap_size_limit;
  const sidecar = {
    version: 1,
    reason: 'used',
    time: new Date().toISOString(),
    pid: process.pid,
    host: os.hostname(),
    node: process.version,
    thread: threadId,
    threshold,
    memory: { rss, heapUsed, heapTotal, external, heapLimit },
    complete: null,
    snapshot: path.basename(file),
  };
  const write = (end) => fs.writeFile(`${file}.json`, `${JSON.stringify({ ...sidecar, ...end }, null, 2)}\n`, { mode: 0o600 });
  await write().catch(() => {});
  try {
    const { path: written, ...report } = await writeSnapshot(file, { fallback: 'error' });
    await write({ complete: true, report }).catch(() => {});
    return written;
  } catch (error) {
    await write({ complete: false, error: { code: error.code, message: error.message } }).catch(() => {});
    throw error;
  }
}

module.exports = { takeWithSidecar };

'use strict';

// The JSON beside an automatic snapshot, as src/snapshot/sidecar.rs writes it, where JavaScript writes or reads it.

const fs = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');
const v8 = require('node:v8');
const { threadId } = require('node:worker_threads');

const { EXTENSION, imageName } = require('./extensions.js');
const { writeWhole } = require('./new-file.js');
const { program } = require('./program.js');
const { writeSnapshot } = require('./promises.js');

/**
 * Takes a snapshot for a threshold; resolves with its path. The JSON is written before, and again at the end, beside what
 * the file was to be. `options` say what it holds.
 */
async function takeWithSidecar(file, threshold, options) {
  const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
  const planned = options.output === 'image' ? imageName(file) : file;
  const heapLimit = v8.getHeapStatistics().heap_size_limit;
  const sidecar = {
    version: 1,
    reason: 'used',
    time: new Date().toISOString(),
    pid: process.pid,
    host: os.hostname(),
    node: process.version,
    thread: threadId,
    program: program(),
    threshold,
    memory: { rss, heapUsed, heapTotal, external, heapLimit },
    complete: null,
    kind: options.output ?? 'snapshot',
    snapshot: path.basename(planned),
  };
  const write = (end) => writeWhole(`${planned}.json`, `${JSON.stringify({ ...sidecar, ...end }, null, 2)}\n`);
  await write().catch(() => {});
  try {
    const { path: written, kind, ...report } = await writeSnapshot(file, { fallback: 'error', ...options });
    await write({ complete: true, kind, snapshot: path.basename(written), report }).catch(() => {});
    return written;
  } catch (error) {
    await write({ complete: false, error: { code: error.code, message: error.message } }).catch(() => {});
    throw error;
  }
}

/** What it says; undefined where it cannot be read. */
async function readSidecar(file) {
  try {
    return JSON.parse(await fs.readFile(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** The JSON of a file of heapdump-rs/oom: an image's is called as the snapshot's that it stands for, if that was wanted. */
async function sidecarFor(file) {
  const snapshot = file.replace(/\.heapimage(?:\.zst)?(\.age)?$/, `${EXTENSION}$1`);
  // A threshold's is called without the end of what is encrypted.
  const names = [file, snapshot].flatMap((name) => [name, name.replace(/\.age$/, '')]);
  for (const sidecar of names.map((name) => `${name}.json`)) {
    const said = await readSidecar(sidecar);
    if (said?.snapshot === path.basename(file)) return { sidecar, said };
  }
  return undefined;
}

/** Adds where its snapshot has gone to what it says. */
async function noteExport(file, said, { location, bytes, sha256 }) {
  const exported = { time: new Date().toISOString(), location, bytes, sha256 };
  await rewrite(file, { ...said, ...(await readSidecar(file)), exported });
}

/** Adds to what it says by now. */
async function noteInSidecar(file, more) {
  const said = await readSidecar(file);
  if (said) await rewrite(file, { ...said, ...more });
}

/** Its time stays: the cooldown goes by it. */
async function rewrite(file, said) {
  const { mode, mtimeMs } = await fs.stat(file);
  await writeWhole(file, `${JSON.stringify(said, undefined, 2)}\n`, { mode: mode & 0o777, modified: mtimeMs });
}

module.exports = { noteExport, noteInSidecar, readSidecar, sidecarFor, takeWithSidecar };

// The application of the tests, and what its bundle has to do.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

import limits from '../../harness/limits.cjs';
import { validateSnapshot } from '../../harness/validate.mjs';
import { makeTemporaryDirectory } from '../support/files.mjs';

/** Installed, with its node_modules. */
export const APP = path.join(process.env.BUNDLERS_WORK, 'app');
export const ENTRIES = { app: path.join(APP, 'app.cjs'), worker: path.join(APP, 'worker.cjs') };
export const MODULES = path.join(APP, 'node_modules');
/** A bundler. */
export const load = createRequire(path.join(process.env.BUNDLERS, 'here.js'));

const MODE = process.platform === 'linux' ? 'fork' : 'inline';

/** Runs a program to its end: nothing here takes so long unless it hangs. */
export function execute(cwd, file, ...words) {
  return new Promise((resolve) => {
    execFile(file, words, { cwd, timeout: limits.WAIT, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      resolve({ code: error ? (error.code ?? error.signal) : 0, stdout, stderr });
    });
  });
}

/** Runs the bundle in a directory that has no other: every subpath works, in a worker too. */
export async function worksAlone(t, { app, worker }) {
  const directory = makeTemporaryDirectory(t);
  const { code, stdout, stderr } = await execute(directory.path, process.execPath, app, worker, directory.path);
  assert.equal(code, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), {
    main: MODE,
    promises: MODE,
    inline: 'inline',
    analyze: true,
    exporters: 'a.heapsnapshot',
    installedPeer: 'found',
    absentPeer: 'ERR_HEAPDUMP_MISSING_PEER',
    http: [200, true],
    webhook: true,
    monitor: 'rss',
    openprofiling: 'function',
    worker: MODE,
  });
  for (const name of ['main.heapsnapshot', 'worker.heapsnapshot']) await validateSnapshot(directory.at(name));
}

/** The same of the program that only takes a snapshot. */
export async function takesASnapshot(t, ...command) {
  const directory = makeTemporaryDirectory(t);
  const { stdout, stderr } = await execute(directory.path, ...command, directory.path);
  assert.equal(stdout, `${MODE}\n`, stderr);
  await validateSnapshot(directory.at('worker.heapsnapshot'));
}

export const binariesIn = (directory) =>
  fs.readdirSync(directory, { recursive: true }).map((name) => path.basename(name)).filter((name) => name.endsWith('.node'));

/** The packages of other platforms are not there, and nothing else may be missing but SDKs that are not installed. */
export const mayBeAbsent = (text) => /heapdump-rs-(?:linux|darwin|win32)-|@aws-sdk\/|@azure\//.test(text);

// Vercel's tracer, which Next.js, Nitro and serverless plugins copy files by.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { ROOT } from '../support/app.mjs';
import { makeTemporaryDirectory } from '../support/files.mjs';
import { APP, ENTRIES, MODULES, binariesIn, execute, load, mayBeAbsent, worksAlone } from './application.mjs';

const { nodeFileTrace } = load('@vercel/nft');

async function trace(t, files, base) {
  const directory = makeTemporaryDirectory(t);
  const { fileList, warnings } = await nodeFileTrace(files, { base });
  for (const { message } of warnings) assert.ok(mayBeAbsent(message), message);
  for (const name of fileList) {
    fs.mkdirSync(path.dirname(directory.at(name)), { recursive: true });
    fs.cpSync(path.join(base, name), directory.at(name));
  }
  return directory;
}

test('nft takes along the binary and all that each subpath loads', async (t) => {
  const directory = await trace(t, Object.values(ENTRIES), APP);
  assert.equal(binariesIn(directory.path).length, 1);
  await worksAlone(t, { app: directory.at('app.cjs'), worker: directory.at('worker.cjs') });
});

test('nft takes along what the command line loads', async (t) => {
  const bin = 'node_modules/heapdump-rs/bin/heapdump-rs.js';
  const directory = await trace(t, [path.join(APP, bin)], APP);
  const run = (...words) => execute(directory.path, process.execPath, bin, ...words);
  assert.match((await run('doctor')).stdout, /a child took a snapshot|snapshots are taken in process/);
  assert.match((await run('node-snapshot', '--help')).stdout, /--pid/);
  assert.match((await run('summary', '--help')).stdout, /summary/);
});

test('nft takes along a binary that was built from source, and nothing else beside it', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const copy = directory.at('node_modules/heapdump-rs');
  fs.cpSync(path.join(MODULES, 'heapdump-rs'), copy, { recursive: true });
  const binary = binariesIn(MODULES)[0];
  fs.copyFileSync(path.join(ROOT, binary), path.join(copy, binary));
  fs.writeFileSync(directory.at('app.cjs'), "require('heapdump-rs/promises').writeSnapshot('a').then(({ mode }) => console.log(mode));");
  const traced = await trace(t, [directory.at('app.cjs')], directory.path);
  assert.ok(!fs.existsSync(traced.at('node_modules/heapdump-rs/README.md')));
  const { stdout } = await execute(traced.path, process.execPath, 'app.cjs');
  assert.match(stdout, /^(fork|inline)\n$/);
});

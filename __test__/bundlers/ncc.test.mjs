import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { makeTemporaryDirectory } from '../support/files.mjs';
import { APP, ENTRIES, binariesIn, execute, load, worksAlone } from './application.mjs';

test('ncc takes the binary along by itself', async (t) => {
  const directory = makeTemporaryDirectory(t);
  for (const [name, entry] of Object.entries(ENTRIES)) {
    const words = ['build', entry, '--out', directory.at(name), '--no-cache'];
    const { code, stderr } = await execute(APP, process.execPath, load.resolve('@vercel/ncc/dist/ncc/cli.js'), ...words);
    assert.equal(code, 0, stderr);
    assert.equal(binariesIn(directory.at(name)).length, 1);
  }
  const [app, worker] = ['app', 'worker'].map((name) => path.join(directory.at(name), 'index.cjs'));
  await worksAlone(t, { app, worker });
});

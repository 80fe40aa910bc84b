// rollup, which takes no binaries along.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { makeTemporaryDirectory } from '../support/files.mjs';
import { ENTRIES, MODULES, load, takesASnapshot, worksAlone } from './application.mjs';

const { rollup } = load('rollup');
const commonjs = load('@rollup/plugin-commonjs');
const { nodeResolve } = load('@rollup/plugin-node-resolve');

async function bundle(directory, external, format) {
  const warnings = [];
  const plugins = [nodeResolve({ exportConditions: ['node'], preferBuiltins: true }), commonjs()];
  const made = await rollup({ input: ENTRIES, external, plugins, onwarn: ({ message }) => warnings.push(message) });
  const extension = format === 'es' ? 'mjs' : 'cjs';
  await made.write({ dir: directory.path, format, entryFileNames: `[name].${extension}`, chunkFileNames: `[name]-[hash].${extension}` });
  assert.deepEqual(warnings, []);
  return { app: directory.at(`app.${extension}`), worker: directory.at(`worker.${extension}`) };
}

for (const format of ['cjs', 'es']) {
  test(`rollup (${format}) with heapdump-rs external`, async (t) => {
    const directory = makeTemporaryDirectory(t);
    const bundled = await bundle(directory, [/^heapdump-rs(\/|$)/], format);
    fs.cpSync(MODULES, directory.at('node_modules'), { recursive: true });
    await takesASnapshot(t, process.execPath, bundled.worker);
  });
}

test('rollup (cjs) with only the binaries external', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const bundled = await bundle(directory, [/^heapdump-rs-/], 'cjs');
  const [binary] = fs.readdirSync(MODULES).filter((name) => name.startsWith('heapdump-rs-'));
  fs.cpSync(path.join(MODULES, binary), directory.at('node_modules', binary), { recursive: true });
  await worksAlone(t, bundled);
});

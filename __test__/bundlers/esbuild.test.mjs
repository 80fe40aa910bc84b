import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { makeTemporaryDirectory } from '../support/files.mjs';
import { ENTRIES, MODULES, binariesIn, execute, load, takesASnapshot, worksAlone } from './application.mjs';

const esbuild = load('esbuild');

const bundle = (directory, more) =>
  esbuild.build({
    entryPoints: ENTRIES,
    bundle: true,
    platform: 'node',
    outdir: directory.path,
    outExtension: { '.js': '.cjs' },
    logLevel: 'silent',
    ...more,
  });

test('esbuild with a loader that copies: one binary beside the bundle, and no warning', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const { warnings } = await bundle(directory, { loader: { '.node': 'copy' }, minify: true });
  assert.deepEqual(warnings, []);
  assert.equal(binariesIn(directory.path).length, 1);
  await worksAlone(t, { app: directory.at('app.cjs'), worker: directory.at('worker.cjs') });
});

test('esbuild with packages outside', async (t) => {
  const directory = makeTemporaryDirectory(t);
  await bundle(directory, { packages: 'external' });
  fs.cpSync(MODULES, directory.at('node_modules'), { recursive: true });
  await takesASnapshot(t, process.execPath, directory.at('worker.cjs'));
});

test('esbuild without either: the build says that a binary needs a loader', async (t) => {
  await assert.rejects(bundle(makeTemporaryDirectory(t), {}), /No loader is configured for "\.node" files/);
});

test('esbuild as an ES module: with the require that it lacks it works, without it the error says what to do', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const options = { format: 'esm', outExtension: { '.js': '.mjs' }, loader: { '.node': 'copy' } };
  const js = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url); const { filename: __filename, dirname: __dirname } = import.meta;";
  await bundle(directory, { ...options, banner: { js } });
  await takesASnapshot(t, process.execPath, directory.at('worker.mjs'));
  // All but the binary.
  const onlyBuiltins = "import { createRequire } from 'node:module'; const real = createRequire(import.meta.url); const require = (name) => { if (name.startsWith('node:')) return real(name); throw new Error(`Dynamic require of \"${name}\" is not supported`); };";
  await bundle(directory, { ...options, banner: { js: onlyBuiltins } });
  const { code, stderr } = await execute(directory.path, process.execPath, 'worker.mjs', directory.path);
  assert.equal(code, 1);
  assert.match(stderr, /heapdump-rs has no binary that loads on .* A bundler has made this program/);
});

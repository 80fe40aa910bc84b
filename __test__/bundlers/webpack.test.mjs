// webpack, `target: 'node'`.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { makeTemporaryDirectory } from '../support/files.mjs';
import { APP, ENTRIES, MODULES, binariesIn, load, mayBeAbsent, takesASnapshot, worksAlone } from './application.mjs';

const webpack = load('webpack');

function bundle(directory, more) {
  const config = {
    mode: 'production',
    target: 'node',
    context: APP,
    entry: ENTRIES,
    output: { path: directory.path, filename: '[name].cjs' },
    resolveLoader: { modules: [path.join(process.env.BUNDLERS, 'node_modules')] },
    ...more,
  };
  return new Promise((resolve, reject) => {
    webpack(config, (error, stats) => (error ? reject(error) : resolve(stats.toJson({ all: false, warnings: true, errors: true }))));
  });
}

test('webpack with node-loader: one binary beside the bundle, and warnings of absent packages alone', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const { errors, warnings } = await bundle(directory, { module: { rules: [{ test: /\.node$/, loader: 'node-loader' }] } });
  assert.deepEqual(errors, []);
  for (const { message } of warnings) assert.ok(mayBeAbsent(message), message);
  assert.equal(binariesIn(directory.path).length, 1);
  await worksAlone(t, { app: directory.at('app.cjs'), worker: directory.at('worker.cjs') });
});

test('webpack with heapdump-rs external: no warnings', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const { errors, warnings } = await bundle(directory, { externals: [/^heapdump-rs(\/|$)/], externalsType: 'commonjs' });
  assert.deepEqual({ errors, warnings }, { errors: [], warnings: [] });
  fs.cpSync(MODULES, directory.at('node_modules'), { recursive: true });
  await takesASnapshot(t, process.execPath, directory.at('worker.cjs'));
});

test('webpack without either: the build says that a binary needs a loader', async (t) => {
  const { errors } = await bundle(makeTemporaryDirectory(t), {});
  assert.equal(errors.length, 1);
  assert.match(errors[0].message, /You may need an appropriate loader/);
  assert.match(errors[0].moduleName ?? errors[0].file ?? '', /heapdump-rs\..*\.node$/);
});

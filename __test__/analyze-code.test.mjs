// From a snapshot to code: whose it is, by package and by script.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';

import limits from '../harness/limits.cjs';
import { makeTemporaryDirectory } from './support/files.mjs';

const require = createRequire(import.meta.url);
const { open } = require('../lib/analyze.js');

/** Writes files below a directory, by their names. */
function write(directory, files) {
  for (const [name, text] of Object.entries(files)) {
    const file = directory.at(name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
  }
}

/** The snapshot of a program that writes it into a file of its directory. */
async function snapshotOf(directory, program) {
  execFileSync(process.execPath, [directory.at(program)], { cwd: directory.at('.'), timeout: limits.WAIT });
  return open(directory.at('a.heapsnapshot'));
}

test('bytes are of the package that made or holds them', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const leaky = 'node_modules/.pnpm/leaky@1.2.3_peer@4.0.0/node_modules/leaky';
  write(directory, {
    [`${leaky}/index.js`]: `
      class Connection { constructor() { this.buffer = new Array(20000).fill(1.5); } }
      const connections = [];
      exports.connect = () => { connections.push(new Connection()); return connections.length; };`,
    'node_modules/@scope/plain/index.js': 'exports.kept = "x".repeat(10) + process.pid; exports.f = function f() { return exports; };',
    'app.js': `
      const { connect } = require('leaky');
      globalThis.plain = require('@scope/plain');
      for (let i = 0; i < 10; i++) connect();
      class Mine { constructor() { this.text = 'mine'; } }
      globalThis.mine = [new Mine(), new Mine()];
      require('node:v8').writeHeapSnapshot('a.heapsnapshot');`,
  });
  fs.symlinkSync(path.relative(directory.at('node_modules'), directory.at(leaky)), directory.at('node_modules/leaky'));
  const snapshot = await snapshotOf(directory, 'app.js');

  const { shares, totalSize } = await snapshot.summary({ by: 'package' });
  const of = (name) => shares.find((share) => share.package === name);
  const { version, count, shallowSize, retainedSize } = of('leaky');
  assert.equal(version, '1.2.3');
  assert.ok(shallowSize > 10 * 8 * 20000 && shallowSize < 3e6, `${shallowSize}`);
  assert.ok(retainedSize >= shallowSize && count > 20);
  assert.equal(of('@scope/plain').version, null);
  assert.ok(of('(application)').count > 2 && of('(node)').shallowSize > 0);
  assert.equal(of('(unknown)').retainedSize, null);
  const sum = shares.reduce((total, share) => total + share.shallowSize, 0);
  const native = totalSize - (await snapshot.dominators(null, { limit: 1 }))[0].retainedSize;
  assert.equal(sum + native, totalSize);

  const scripts = (await snapshot.summary({ by: 'script', filter: 'leaky' })).shares;
  assert.deepEqual(scripts.map((share) => share.script), [fs.realpathSync(directory.at(`${leaky}/index.js`))]);
  assert.equal(scripts[0].shallowSize, shallowSize);
});

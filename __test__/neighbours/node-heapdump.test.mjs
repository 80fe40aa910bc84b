// node-heapdump's published tests, under tap 16: it is the first of those that bring signal-exit with them.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { ROOT } from '../support/app.mjs';
import { makeTemporaryDirectory } from '../support/files.mjs';

const modules = path.join(process.env.NEIGHBOURS, 'node_modules');
const published = path.join(modules, 'heapdump/test');

/** They look after half a second, which a forked child has not on a busy machine; tap 16 has lost the plural. */
const inTime = (source) => source.replace('waitForHeapdump, 500)', 'waitForHeapdump, 10000)').replaceAll('.equals(', '.equal(');

for (const name of fs.readdirSync(published)) {
  test(name, (t) => {
    const directory = makeTemporaryDirectory(t);
    fs.mkdirSync(directory.at('test'));
    fs.writeFileSync(directory.at('index.js'), `module.exports = require(${JSON.stringify(ROOT)});`);
    fs.writeFileSync(directory.at('package.json'), '{}');
    fs.writeFileSync(directory.at('test', name), inTime(fs.readFileSync(path.join(published, name), 'utf8')));
    fs.symlinkSync(modules, directory.at('node_modules'));
    const tap = path.join(modules, 'tap/bin/run.js');
    const run = spawnSync(process.execPath, [tap, '--no-check-coverage', '--timeout=0', '--reporter=tap', `test/${name}`], {
      cwd: directory.path,
      encoding: 'utf8',
    });
    assert.equal(run.status, 0, run.stdout + run.stderr);
    assert.match(run.stdout, /^ok 1 - test/m);
  });
}

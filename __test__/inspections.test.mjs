// What `suspects` says of one snapshot of a real process: planted things are found with their numbers, a plain server has none.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { open } from 'heapdump-rs/analyze';

import limits from '../harness/limits.cjs';
import { ROOT } from './support/app.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';

const run = (...args) => execFileSync(process.execPath, args, { timeout: limits.PROGRAM, encoding: 'utf8' });

async function inspections(file) {
  const snapshot = await open(file);
  const { inspections } = await snapshot.suspects();
  snapshot.close();
  return inspections;
}

test('each kind is found once, with its number, its bytes, a place and advice', async (t) => {
  const file = makeTemporaryDirectory(t).at('planted.heapsnapshot');
  run(path.join(ROOT, '__test__/children/planted.cjs'), file);
  const found = await inspections(file);
  const told = found.map(({ kind, count, name, package: owner }) => `${kind} ${count} ${name} ${owner}`);
  // A process has a few of its own.
  const one = (kind, name, count, text, least, most, own = 0) => {
    const matching = found.filter((each) => each.kind === kind && (name === undefined || each.name === name));
    const right = matching.find((each) => each.count >= count && each.count <= count + own);
    assert.ok(right, `${kind} ${name} ${count} in\n${told.join('\n')}`);
    assert.match(`${right.what}; ${right.path.text}; ${right.functions.map(({ name: of }) => of)}`, text);
    assert.ok(right.bytes >= least && right.bytes <= most, `${kind}: ${right.bytes} bytes`);
    assert.ok(right.advice.length > 20 && right.instrument === null);
  };
  one('listeners', 'price', 40, /`price`.*bus → EventEmitter.*onPrice/, 40 * 56, 40 * 200);
  one('listeners', '', 30, /target → EventTarget/, 30 * 100, 30 * 300);
  one('timers', undefined, 130, /onTimer/, 130 * 128, 130 * 400);
  one('pending-promises', undefined, 171, /later/, 171 * 48, 200_000, 10);
  one('waiting', undefined, 200, /stopped/, 200 * 48, 200_000);
  one('suspended-functions', 'waiter', 200, /calls of waiter\(\)/, 200 * 80, 200 * 400);
  one('suspended-functions', 'count', 120, /generators/, 120 * 60, 120 * 400);
  one('async-stores', undefined, 130, /stores of AsyncLocalStorage/, 130 * 24, 130 * 600, 2);
  one('vm-contexts', undefined, 12, /12 contexts/, 12 * 2000, 12 * 2_000_000);
  one('sliced-strings', undefined, 10, /slices/, 1_000_000, 1_010_000, 10);
  one('large-collection', 'Map', 3000, /The Map `map` in planted\.cjs has 3,000 entries/, 64 << 10, 1 << 20);
  one('large-collection', 'Set', 2500, /The Set `set`/, 64 << 10, 1 << 20);
  one('large-collection', 'Array', 5000, /The Array `list`/, 64 << 10, 1 << 20);
  one('empty-collections', 'Map', 1500, /empty Maps.*: empty → Array/, 1500 * 100, 1500 * 300, 100);
  one('sparse-array', '20000', 2, /`sparse`.* 2 objects in room for 20,000/, 160_000, 160_200);
  one('buffers', 'Array', 20, /buffers → Queue → waiting → Array/, 2_000_000, 2_010_000);
  one('large-collection', 'Object', 1500, /The Object `dictionary`/, 64 << 10, 1 << 20);
  one('streams', 'Socket', 110, /sockets/, 110 * 500, 110 * 5000);
  one('errors', undefined, 150, /errors/, 150 * 100, 150 * 3000);
  const wasted = found.find(({ kind }) => kind === 'duplicate-strings');
  assert.deepEqual([wasted?.name, wasted?.count >= 3000], ['this very text is there many times', true], told.join('\n'));
});

test('a plain server has nothing that stands out', async (t) => {
  const file = makeTemporaryDirectory(t).at('server.heapsnapshot');
  const server = `
    const http = require('node:http');
    const server = http.createServer((request, response) => response.end('fine')).listen(0, async () => {
      for (let i = 0; i < 50; i++) await (await fetch('http://127.0.0.1:' + server.address().port)).text();
      require('node:v8').writeHeapSnapshot(process.argv[1]);
      process.exit();
    });`;
  run('-e', server, file);
  assert.deepEqual((await inspections(file)).map(({ what, path: { text } }) => `${what}: ${text}`), []);
});

test('a package that is loaded from two places is told', async (t) => {
  const directory = makeTemporaryDirectory(t);
  for (const place of ['node_modules/twice', 'node_modules/other/node_modules/twice']) {
    fs.mkdirSync(directory.at(place), { recursive: true });
    fs.writeFileSync(directory.at(place, 'index.js'), 'exports.twice = () => 1; exports.again = () => 2;');
  }
  fs.writeFileSync(directory.at('main.js'), `
    globalThis.keep = [require('twice'), require('./node_modules/other/node_modules/twice')];
    require('node:v8').writeHeapSnapshot(process.argv[2]);`);
  run(directory.at('main.js'), directory.at('a.heapsnapshot'));
  const [copies, ...more] = (await inspections(directory.at('a.heapsnapshot'))).filter(({ kind }) => kind === 'package-copies');
  assert.deepEqual([copies?.name, copies?.count, more], ['twice', 2, []]);
  assert.ok(copies.bytes > 0 && /twice\/index\.js$/.test(copies.location.script), JSON.stringify(copies.location));
});

test('what V8\'s inspector keeps is named as such', async (t) => {
  const file = makeTemporaryDirectory(t).at('console.heapsnapshot');
  const program = `
    const session = new (require('node:inspector').Session)();
    session.connect();
    session.post('Runtime.enable', () => {
      console.log(new Map(Array.from({ length: 3000 }, (_, index) => ['key ' + index, { index }])).set('self', 1));
      setImmediate(() => {
        require('node:v8').writeHeapSnapshot(process.argv[1]);
        process.exit();
      });
    });`;
  run('-e', program, file);
  const [left] = (await inspections(file)).filter(({ instrument }) => instrument === 'inspector');
  assert.deepEqual([left?.kind, left?.count], ['large-collection', 3001]);
});

// `.ci/run` repeats a test file that fails (harness/repeat.mjs).

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { runAndRepeat } from '../harness/repeat.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';

/** Runs files that fail so many times each; says what ran, whether all counted, and what the list then holds. */
async function repeat(t, failures, { already = [] } = {}) {
  const list = makeTemporaryDirectory(t).at('list');
  fs.writeFileSync(list, already.map((line) => `${line}\n`).join(''));
  const ran = [];
  const passes = async (file) => ran.push(file) && failures[file]-- <= 0;
  const passed = await runAndRepeat(Object.keys(failures), passes, list, 'Node.js 20', () => {});
  return { ran, passed, list: fs.readFileSync(list, 'utf8').split('\n').slice(0, -1) };
}

test('what passes runs once', async (t) => {
  assert.deepEqual(await repeat(t, { a: 0, b: 0 }), { ran: ['a', 'b'], passed: true, list: [] });
});

test('what fails runs once more, by itself at the end; passing then counts, and is listed', async (t) => {
  assert.deepEqual(await repeat(t, { a: 1, b: 0 }), { ran: ['a', 'b', 'a'], passed: true, list: ['a on Node.js 20'] });
});

test('what fails twice fails, and is not listed', async (t) => {
  assert.deepEqual(await repeat(t, { a: 2, b: 0 }), { ran: ['a', 'b', 'a'], passed: false, list: [] });
});

test('two of them pass, three do not, those of other runs included', async (t) => {
  assert.equal((await repeat(t, { a: 1, b: 1 })).passed, true);
  assert.equal((await repeat(t, { a: 1, b: 1, c: 1 })).passed, false);
  assert.equal((await repeat(t, { a: 1, b: 0 }, { already: ['x on Node.js 22', 'y on Node.js 24'] })).passed, false);
  assert.equal((await repeat(t, { a: 1 }, { already: ['x on Node.js 22'] })).passed, true);
});

// Leaks, hunted as the skill says, by tool calls alone.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import limits from '../../harness/limits.cjs';
import { root } from '../../harness/run.mjs';

const CORPUS = join(root, '__test__/analyze-leaks/corpus');

/** Of the corpus: what needs no packages, one for each kind of holder. */
export const LEAKS = [
  'array-of-errors',
  'buffers',
  'closures-chain',
  'global-variable',
  'intervals',
  'linked-list',
  'map-of-sessions',
  'once-listeners',
  'pending-promises',
  'static-field',
];

/** Three snapshots of a leak in `directory`, and what must be found. */
export function leak(name, directory) {
  mkdirSync(directory, { recursive: true });
  const child = [join(CORPUS, 'child.cjs'), join(CORPUS, `cases/${name}.cjs`), 'leak', directory, 'v8'];
  const expect = execFileSync(process.execPath, child, { encoding: 'utf8', timeout: limits.PROGRAM, stdio: ['ignore', 'pipe', 'inherit'] });
  return { expect: new RegExp(expect), files: ['a', 'b', 'c'].map((file) => join(directory, `${file}.heapsnapshot`)) };
}

/** What the hunter says: the cause in words. */
export async function hunt(ask, files) {
  const handles = [];
  for (const file of files) handles.push((await ask('open_snapshot', { file })).snapshot);
  const { rows } = await ask('find_leaks', { snapshots: handles });
  const [suspect] = rows;
  assert.ok(suspect, 'no suspect');
  const last = handles[2];
  const { path, object } = await ask('object', { snapshot: last, id: suspect.example.id });
  assert.equal(object.id, suspect.example.id);
  const held = await ask('retainers', { snapshot: last, id: suspect.example.id });
  assert.ok(held.total > 0 || suspect.example.distance === 1, 'nothing holds it');
  const { freedSize } = await ask('what_if', { snapshot: last, without: [`@${suspect.example.id}`] });
  assert.ok(freedSize >= suspect.example.shallowSize, `${freedSize} bytes would be freed`);
  const code = suspect.functions.map(({ name, place }) => `${name}() of ${place}`);
  // Where a script lies says nothing about the leak.
  return [suspect.what, suspect.held, suspect.path, path, ...code].join(' ').replace(/[«»]/g, '').replace(/\/[^ ]*\/(?=[\w.-]+:\d)/g, '');
}

// Small libraries that take the part of other people's addons.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { needsTool } from './faults.mjs';
import { makeTemporaryDirectory } from './files.mjs';

/** The library that one of children/ (or of another directory) is the source of; undefined without a compiler. */
export function buildLibrary(t, name, directory = 'children') {
  if (!needsTool(t, 'cc')) return undefined;
  const source = fileURLToPath(new URL(`../${directory}/${name}.c`, import.meta.url));
  const library = makeTemporaryDirectory(t).at(`${name}.so`);
  const { status, stderr } = spawnSync('cc', ['-shared', '-fPIC', '-Wl,-z,nodelete', '-o', library, source, '-lpthread'], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return library;
}

// The house, as ARCHITECTURE.md says it is.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { root } from '../harness/run.mjs';

const ROOMS = ['tools', '__test__', 'bench'];

test('tools, tests and benchmarks share by way of harness/ alone', () => {
  const across = [...ROOMS, 'harness'].flatMap((room) =>
    importsOf(room).filter(({ to }) => to !== room && ROOMS.includes(to)).map(({ file, name }) => `${file}: ${name}`),
  );
  assert.deepEqual(across, []);
});

test('every file that is imported by its path is there', () => {
  const lost = [...ROOMS, 'harness'].flatMap((room) =>
    importsOf(room).filter(({ target }) => !fs.existsSync(target)).map(({ file, name }) => `${file}: ${name}`),
  );
  assert.deepEqual(lost, []);
});

test('how long a test waits is said in harness/limits.cjs alone', () => {
  const own = /\b(?:timeout|limit|deadline|patience)\w*(?:: | = |\()[^;\n]*\b\d+_000\b|\b(?:waitFor|delay)\([^;]*\b\d+_000\)/i;
  const found = ['__test__', 'harness'].flatMap((room) =>
    modulesOf(room).filter((file) => own.test(fs.readFileSync(path.join(root, file), 'utf8'))),
  );
  assert.deepEqual(found, []);
});

const modulesOf = (room) => fs.readdirSync(path.join(root, room), { recursive: true }).map((file) => path.join(room, file)).filter((file) => file.endsWith('.mjs') && !/(^|\/)node_modules\//.test(file));

/** Static imports of ES modules by path, and which top-level directory each leads to. */
function importsOf(room) {
  return modulesOf(room).flatMap((file) => {
    const text = fs.readFileSync(path.join(root, file), 'utf8');
    return [...text.matchAll(/^(?:import|export)\b[^'"]*?['"](\.[^'"]+)['"];$/gm)].map(([, name]) => {
      const target = path.resolve(root, path.dirname(file), name);
      return { file, name, target, to: path.relative(root, target).split(path.sep)[0] };
    });
  });
}

// Heap images on this kernel: written here and restored here, and those of the other kernel.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { comparePair, writePair } from '../../image/pair.mjs';
import { IS_EMULATED, NODES, makeOutput } from './disk.mjs';

const filesIn = (directory, major) => ({ image: `${directory}/a.heapimage`, plain: `${directory}/plain.heapsnapshot`, restored: '/tmp/restored.heapsnapshot', major: Number(major) });

for (const { major, node } of NODES) {
  for (const where of ['main', 'worker', 'limit']) {
    test(`Node.js ${major}, ${where}: an image becomes the snapshot that the same child wrote`, async () => {
      const pair = filesIn(makeOutput(major, where), major);
      assert.equal(await writePair(node, { where, megabytes: 1, ...pair }), undefined);
      assert.equal(await comparePair(pair), undefined);
      fs.rmSync(pair.restored);
    });
  }
  test(`Node.js ${major}: an image of the other kernel becomes the snapshot that the same child wrote`, async () => {
    const pair = filesIn(`/in/${major}`, major);
    const there = fs.readFileSync('/in/root', 'utf8');
    // V8 needs nothing of what an emulated processor lacks (for hashes and checksums).
    const more = IS_EMULATED ? ['--ignore-cpu'] : [];
    assert.equal(await comparePair(pair, ['--node', node, '--map', `${there}=/app`, ...more]), undefined);
    fs.rmSync(pair.restored);
  });
}

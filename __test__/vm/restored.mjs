// What processes of the virtual machine left becomes snapshots on this kernel.

import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { root, step } from '../../harness/run.mjs';
import { validateSnapshot } from '../../harness/validate.mjs';
import { comparePair, restore } from '../image/pair.mjs';

/** Smaller than any heap of Node.js. */
const LEAST_NODES = 10_000;

/** All images and core files of `directory`, by versions of Node.js and names of tests: one line each. */
export async function restoreAll(nodes, directory) {
  for (const { major, file } of nodes) {
    const more = ['--node', file, '--map', `/app=${root}`];
    for (const name of existsSync(join(directory, major)) ? readdirSync(join(directory, major)) : []) {
      const at = (file) => join(directory, major, name, file);
      for (const left of readdirSync(at('.')).filter((file) => /\.heapimage$|^core/.test(file))) {
        const pair = { image: at(left), plain: at('plain.heapsnapshot'), restored: at('restored.heapsnapshot'), major: Number(major) };
        const isPair = existsSync(pair.plain);
        const what = isPair ? 'the snapshot that the same child wrote' : 'a whole snapshot';
        await step(`Node.js ${major}, ${name}: ${left} becomes ${what} on this kernel`, () => (isPair ? check(comparePair(pair, more)) : checkWhole(pair, more)));
      }
      // It may be gigabytes in all.
      rmSync(at('.'), { recursive: true });
    }
  }
}

async function checkWhole({ image, restored }, more) {
  const isCore = !image.endsWith('.heapimage');
  await check(restore(image, restored, more, isCore ? '--core' : '--image'));
  const { nodes, stringTable } = await validateSnapshot(restored, { strings: true });
  if (nodes < LEAST_NODES) throw new Error(`${nodes} objects`);
  if (isCore && !stringTable.includes('PlantedInCore')) throw new Error('the planted object is missing');
}

async function check(outcome) {
  const problem = await outcome;
  if (problem !== undefined) throw new Error(problem);
}

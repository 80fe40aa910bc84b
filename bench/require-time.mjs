// How long `require` of the package takes, against an empty addon's, each in fresh processes, taken in turn.

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { root } from '../harness/run.mjs';
import { buildEmptyAddon } from './empty-addon.mjs';

const ROUNDS = 25;
// The first `require` of a process pays for Node's own loader; a module without content takes that out of the comparison.
const PROGRAM = `
require(process.argv[2]);
const start = process.hrtime.bigint();
require(process.argv[1]);
process.stdout.write(String(Number(process.hrtime.bigint() - start) / 1e6));
`;

function once(node, entry, blank) {
  const { stdout } = spawnSync(node, ['-e', PROGRAM, entry, blank], { encoding: 'utf8' });
  return Number(stdout);
}

const median = (numbers) => numbers.slice().sort((a, b) => a - b)[numbers.length >> 1];

/** Medians in ms: `{ours, empty}`; `empty` is undefined without a C compiler. */
export function measureRequire(node, work) {
  const empty = buildEmptyAddon(join(work, 'empty-addon'));
  const blank = join(work, 'blank.js');
  writeFileSync(blank, '');
  const times = { ours: [], empty: [] };
  for (let round = 0; round < ROUNDS; round++) {
    times.ours.push(once(node, root, blank));
    if (empty) times.empty.push(once(node, empty, blank));
  }
  return { ours: median(times.ours), empty: empty && median(times.empty) };
}

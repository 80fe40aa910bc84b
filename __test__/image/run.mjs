// npm run test:image [-- MAJOR… --rounds 5 --sizes 5,50,200 --where main,worker --quick]: one and the same child writes an image
// and then its snapshot. Restored, V8 writes that very snapshot again, byte for byte (on Node.js 20 but for addresses, pair.mjs): on
// every Node.js, of the main thread, a worker, at V8's heap limit, with other threads at work. 240 pairs, most of an hour.

import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { build } from '../../harness/build.mjs';
import { NODES, fetchNode } from '../../harness/nodes.mjs';
import { bold, dim, green, main, red, root, seconds } from '../../harness/run.mjs';
import { comparePair, writePair } from './pair.mjs';

const WHERE = ['main', 'worker', 'busy', 'limit'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    sizes: { type: 'string', default: '5,50,200' },
    where: { type: 'string', default: WHERE.join(',') },
    quick: { type: 'boolean', default: false },
  },
});

/** A pair of files; what is wrong, undefined where nothing is. */
async function pair({ node, major, where, megabytes }, directory) {
  const [image, plain, restored] = ['a.heapimage', 'plain.heapsnapshot', 'restored.heapsnapshot'].map((name) => join(directory, name));
  const notWritten = await writePair(node, { where, megabytes, image, plain });
  if (notWritten !== undefined) return notWritten;
  const start = performance.now();
  const different = await comparePair({ image, plain, restored, major: Number(major) });
  if (different !== undefined) return different;
  console.log(dim(`  ${where}, ${megabytes} MB: the same ${statSync(plain).size} bytes, restored and compared in ${seconds(performance.now() - start)}`));
  return undefined;
}

await main(async () => {
  await build();
  const own = process.versions.node.split('.')[0];
  const majors = positionals.length > 0 ? positionals : values.quick ? [own] : Object.keys(NODES).map((version) => version.split('.')[0]);
  const sizes = values.quick ? [5] : values.sizes.split(',').map(Number);
  const rounds = values.quick ? 1 : Number(values.rounds);
  mkdirSync(join(root, '.cache/image'), { recursive: true });
  let [same, all] = [0, 0];
  for (const major of majors) {
    const node = await fetchNode(major);
    console.log(bold(`Node.js ${major}`));
    for (const megabytes of sizes) {
      for (const where of values.where.split(',')) {
        for (let round = 0; round < rounds; round++) {
          const directory = mkdtempSync(join(root, '.cache/image/'));
          const wrong = await pair({ node, major, where, megabytes }, directory);
          all++;
          if (wrong === undefined) same++;
          else console.log(`${red('✗')} ${where}, ${megabytes} MB: ${wrong}`);
          rmSync(directory, { recursive: true, force: true });
        }
      }
    }
  }
  console.log(`${same === all ? green('✓') : red('✗')} ${same} of ${all} pairs are the same`);
  if (same < all) process.exitCode = 1;
});

// npm run test:image [-- MAJOR… --rounds 5 --sizes 5,50,200 --where main,worker --quick]: one and the same child writes an image
// and then its snapshot. Restored, V8 writes that very snapshot again, byte for byte: on every Node.js, of the main thread, a
// worker, at V8's heap limit, with other threads at work. 240 pairs, most of an hour.

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { build } from '../../harness/build.mjs';
import limits from '../../harness/limits.cjs';
import { NODES, fetchNode } from '../../harness/nodes.mjs';
import { bold, dim, green, main, red, root, seconds } from '../../harness/run.mjs';
import { validateSnapshot } from '../../harness/validate.mjs';

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
async function pair({ node, where, megabytes }, directory) {
  const [image, plain, restored] = ['a.heapimage', 'plain.heapsnapshot', 'restored.heapsnapshot'].map((name) => join(directory, name));
  const wanted = { where, megabytes, image, plain };
  // Node.js itself needs a few.
  const flags = where === 'limit' ? [`--max-old-space-size=${Math.max(megabytes, 16)}`] : [];
  const subject = await end(node, [...flags, join(root, '__test__/image/subject.cjs'), JSON.stringify(wanted)]);
  if (where !== 'limit' && subject.code !== 0) return `the subject ended with ${subject.code}: ${subject.said}`;
  const command = [join(root, 'bin/heapdump-rs.js'), 'node-snapshot', '--image', image, '--output', restored];
  const start = performance.now();
  const restore = await end(process.execPath, command);
  if (restore.code !== 0) return `not restored: ${restore.said} (the subject: ${subject.said})`;
  const took = performance.now() - start;
  const [a, b] = [plain, restored].map((file) => readFileSync(file));
  if (!a.equals(b)) return `differs: ${JSON.stringify([await counts(plain), await counts(restored)])}`;
  console.log(dim(`  ${where}, ${megabytes} MB: the same ${a.length} bytes, restored in ${seconds(took)}`));
  return undefined;
}

async function counts(file) {
  try {
    const { nodes, edges, strings } = await validateSnapshot(file);
    return { nodes, edges, strings };
  } catch (error) {
    return error.message;
  }
}

/** How a program ends, and all that it says. */
function end(file, args) {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, NODE_OPTIONS: '', NODE_HEAPDUMP_OPTIONS: '' };
    const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), limits.WAIT);
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code: code ?? signal, said: said.slice(-2000) });
    });
  });
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
          const wrong = await pair({ node, where, megabytes }, directory);
          all++;
          if (wrong === undefined) same++;
          else console.log(`${red('✗')} ${where}, ${megabytes} MB: ${wrong}`);
          rmSync(directory, { recursive: true, force: true });
        }
      }
    }
  }
  console.log(`${same === all ? green('✓') : red('✗')} ${same} of ${all} pairs are byte for byte the same`);
  if (same < all) process.exitCode = 1;
});

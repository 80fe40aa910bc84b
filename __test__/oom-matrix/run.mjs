// npm run test:oom [-- MAJOR… --shapes objects,array160 --quick]: leaks of every shape on every Node.js, at limits of 64 and
// 256 MB, with flags that make V8 mean, and in memory control groups of 256, 512 and 1024 MB. Takes a quarter of an hour.
// Each case leaves a whole snapshot, or says that it cannot and leaves a record; never anything else. With `lowMemory: 'image'`
// each leaves a snapshot, or an image that becomes one, in groups of 256 and 512 MB too.

import { parseArgs } from 'node:util';

import { build } from '../../harness/build.mjs';
import { NODES, fetchNode } from '../../harness/nodes.mjs';
import { SHAPES, groupsAreWritable, runCase } from '../../harness/oom-case.mjs';
import { bold, dim, green, main, red, yellow } from '../../harness/run.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { node: { type: 'string', multiple: true }, shapes: { type: 'string' }, quick: { type: 'boolean', default: false } },
});

const shapes = values.shapes?.split(',') ?? SHAPES;
// V8 has renamed `--always_compact`; every Node.js here refuses the old name.
const MEAN = ['--max_old_space_size=60', '--optimize_for_size', '--compact-on-every-full-gc'];

/** Every case of one Node. */
function* cases() {
  for (const limit of values.quick ? [64] : [64, 256]) {
    for (const shape of shapes) yield { name: `${shape}, ${limit} MB`, shape, limit };
  }
  for (const shape of shapes) yield { name: `${shape}, ${MEAN.join(' ')}`, shape, flags: MEAN };
  for (const group of [256, 512, 1024]) {
    for (const limit of values.quick ? [64] : [64, 256]) {
      // In a group as small as its heap the kernel is quicker than V8.
      if (limit >= group) continue;
      for (const shape of shapes.filter((shape) => shape === 'objects' || shape === 'strings')) {
        yield { name: `${shape}, ${limit} MB in a group of ${group} MB`, shape, limit, group };
      }
    }
  }
  for (const group of [256, 512]) {
    for (const shape of shapes) yield { name: `${shape}, 64 MB in a group of ${group} MB, lowMemory: 'image'`, way: 'low-memory', shape, limit: 64, group };
  }
}

/** What is wrong with a run; undefined when nothing is. */
function wrong(run, { shape, group, way }) {
  if (run.empty) return 'a file of 0 bytes';
  if (run.timedOut) return 'it took more than 300 s';
  if (run.notRestored !== undefined) return run.notRestored;
  // It does not leak; and Buffers alone do not reach V8's limit, but a monitor's (harness/oom-subject.cjs).
  if (shape === 'churn' || (shape === 'buffers' && way === undefined)) return run.files.length === 0 ? undefined : `files: ${run.files}`;
  if (shape === 'worker' && run.code !== 0) return `the process ended with its worker: ${run.signal ?? run.code}`;
  if (run.valid) return undefined;
  if (way === 'low-memory') return `no evidence: ${run.files} ${run.said.slice(-500)}`;
  if (run.size !== undefined) return `not a whole snapshot: ${run.why}`;
  const told = run.record?.complete === false && run.record.error?.code === 'ERR_HEAPDUMP_NO_MEMORY';
  if (group !== undefined && told && run.said.includes('no heap snapshot at the heap limit')) return undefined;
  return `no snapshot: ${run.record ? JSON.stringify(run.record.error) : run.said.slice(-500)}`;
}

/** What a run as promised left. */
function left({ valid, files, record }) {
  if (valid) return files.some((name) => name.endsWith('.heapimage')) ? 'whole, of an image' : 'whole';
  return record ? `record: ${record.error?.message}` : 'no file';
}

await main(async () => {
  await build();
  const groups = groupsAreWritable();
  if (!groups) console.log(yellow('control groups: not run, no memory control group of version 1 can be made here'));
  const versions = Object.keys(NODES).filter((version) => positionals.length === 0 || positionals.includes(version.split('.')[0]));
  let failed = 0;
  for (const version of values.node ?? versions) {
    const node = values.node ? version : await fetchNode(version);
    console.log(`\n${bold(`Node.js ${version}`)}`);
    for (const wanted of cases()) {
      if (wanted.group !== undefined && !groups) continue;
      const run = await runCase({ node, way: 'exit', ...wanted });
      const problem = wrong(run, wanted);
      if (problem !== undefined) failed++;
      console.log(`${problem === undefined ? green('✓') : red('✗')} ${wanted.name}: ${problem ?? left(run)} ${dim(`${(run.alive / 1000).toFixed(0)} s`)}`);
    }
  }
  console.log(failed === 0 ? green('\nall as promised') : red(`\n${failed} failed`));
  if (failed > 0) process.exitCode = 1;
});

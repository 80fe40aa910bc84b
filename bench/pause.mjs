// npm run bench [-- SIZE… --node PATH --rounds N]: fork mode against v8.writeHeapSnapshot on heaps of SIZE MB (default
// 50 200 1000), each snapshot in a fresh process. Ratios carry over to other machines, times do not.

import { spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { build } from '../harness/build.mjs';
import { Problem, bold, dim, main, root, yellow } from '../harness/run.mjs';
import { measureRequire } from './require-time.mjs';

const MB = 1024 * 1024;

/** What the project promises; bench says which are missed. */
const TARGETS = { stall: 100, stallFrom: 200, time: 1.15, require: 3 };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { node: { type: 'string', default: process.execPath }, rounds: { type: 'string' } },
});
const sizes = positionals.length > 0 ? positionals.map(Number) : [50, 200, 1000];
const work = join(root, '.cache/bench');

/** Runs bench/subject.mjs once and gives what it measured. */
function subject(way, megabytes) {
  const file = join(work, `${way}-${megabytes}.heapsnapshot`);
  // In process a snapshot needs several times the heap, which counts as memory of the process, not of V8's heap.
  const flags = ['--expose-gc', `--max-old-space-size=${megabytes * 3 + 1024}`];
  const args = [...flags, join(root, 'bench/subject.mjs'), way, String(megabytes), file];
  return new Promise((resolve, reject) => {
    const child = spawn(values.node, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (text) => (output += text));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      rmSync(file, { force: true });
      if (code === 0) resolve(JSON.parse(output));
      else reject(new Problem(`${way} at ${megabytes} MB ended with ${signal ?? `status ${code}`}`));
    });
  });
}

const medianOf = (runs, value) => runs.map(value).sort((a, b) => a - b)[runs.length >> 1];

async function measureSize(megabytes) {
  // Small heaps are quick and noisy.
  const rounds = Number(values.rounds ?? (megabytes <= 100 ? 3 : 1));
  const runs = { idle: [], v8: [], fork: [] };
  for (let round = 0; round < rounds; round++) {
    for (const way of Object.keys(runs)) runs[way].push(await subject(way, megabytes));
  }
  const stall = (way) => medianOf(runs[way], (run) => run.stall);
  const took = (way) => medianOf(runs[way], (run) => run.took);
  const report = (field) => medianOf(runs.fork, (run) => run.report[field]);
  return {
    megabytes,
    heap: medianOf(runs.fork, (run) => run.heapUsed),
    stall: { idle: stall('idle'), v8: stall('v8'), fork: stall('fork') },
    gc: medianOf(runs.fork, (run) => run.gc),
    took: { v8: took('v8'), fork: took('fork') },
    cpu: { v8: medianOf(runs.v8, (run) => run.cpu), fork: medianOf(runs.fork, (run) => run.cpu) },
    forkCall: report('forkTime'),
    pause: report('pause'),
    barrierWait: report('barrierWait'),
    attempts: Math.max(...runs.fork.map((run) => run.report.attempts)),
    bytes: medianOf(runs.fork, (run) => run.bytes),
    memory: {
      before: medianOf(runs.fork, (run) => run.peakBefore),
      v8: medianOf(runs.v8, (run) => run.peakAfter),
      parent: medianOf(runs.fork, (run) => run.peakAfter),
      child: report('childPeakMemory'),
      childPrivate: report('childPrivateMemory'),
    },
  };
}

const ms = (value) => (value >= 1000 ? `${(value / 1000).toFixed(1)} s` : `${value.toFixed(value < 10 ? 1 : 0)} ms`);
const mb = (value) => `${Math.round(value / MB)} MB`;
const times = (value) => `${value >= 10 ? Math.round(value) : value.toFixed(2)}×`;

function show(m) {
  const ratios = { stall: m.stall.v8 / m.stall.fork, time: m.took.fork / m.took.v8 };
  const line = (name, v8, fork, note = '') =>
    console.log(`  ${name.padEnd(26)}${v8.padStart(12)}${fork.padStart(12)}  ${note}`);
  console.log(`\n${bold(`${m.megabytes} MB`)} ${dim(`(heapUsed ${mb(m.heap)}, file ${mb(m.bytes)})`)}`);
  line('', 'v8', 'fork');
  const others = `idle: ${ms(m.stall.idle)}, longest collection of its own in fork mode: ${ms(m.gc)}`;
  line('event loop stalled', ms(m.stall.v8), ms(m.stall.fork), `${bold(times(ratios.stall))} shorter; ${others}`);
  line('time to file', ms(m.took.v8), ms(m.took.fork), bold(times(ratios.time)));
  // What other work on the machine does not distort.
  line('CPU time until then', ms(m.cpu.v8 * 1000), ms(m.cpu.fork * 1000), times(m.cpu.fork / m.cpu.v8));
  line('fork(2) itself', '–', ms(m.forkCall), `pause ${ms(m.pause)}, barrier ${ms(m.barrierWait)}, attempts ${m.attempts}`);
  line('peak memory of the process', mb(m.memory.v8), mb(m.memory.parent), `before: ${mb(m.memory.before)}`);
  line('peak memory of the child', '–', mb(m.memory.child), `of it its own: ${mb(m.memory.childPrivate)}`);
  if (m.megabytes >= TARGETS.stallFrom && ratios.stall < TARGETS.stall) miss(`stall ${TARGETS.stall}× shorter`);
  if (ratios.time > TARGETS.time) miss(`time to file at most ${TARGETS.time}×`);
}

function miss(target) {
  console.log(yellow(`  missed: ${target}`));
}

await main(async () => {
  await build();
  mkdirSync(work, { recursive: true });
  const version = await new Promise((resolve) => {
    spawn(values.node, ['--version']).stdout.on('data', (text) => resolve(String(text).trim()));
  });
  console.log(`Node.js ${version}; load before: ${loadavg()[0].toFixed(2)}`);
  const required = measureRequire(values.node, work);
  const ratio = required.empty && required.ours / required.empty;
  console.log(
    `require: ${ms(required.ours)}; an empty addon: ` +
      (ratio ? `${ms(required.empty)} (${bold(times(ratio))})` : 'not measured, there is no C compiler'),
  );
  if (ratio > TARGETS.require) miss(`require at most ${TARGETS.require}×`);
  for (const megabytes of sizes) show(await measureSize(megabytes));
});

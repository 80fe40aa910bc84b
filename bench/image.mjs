// npm run bench:image [-- SIZE… --node PATH --rounds N]: a heap image beside the snapshot of a plain child, on heaps of SIZE MB
// (default 50 200), in turns: how much sooner it is complete, what its child has of its own, and whether it is written with 20 MB
// left in a memory control group (version 1, as root) while the server goes on. Ratios carry over to other machines, times do not.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, rmdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { build } from '../harness/build.mjs';
import { Problem, bold, main, root, yellow } from '../harness/run.mjs';

const MB = 1024 * 1024;

/** What is to be reached: so many times sooner, at most so much of its own, so little left. */
const GOALS = { sooner: 10, own: 4 * MB, left: 20 * MB, leftAt: 200 };

const GROUPS = '/sys/fs/cgroup/memory';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { node: { type: 'string', default: process.execPath }, rounds: { type: 'string', default: '3' } },
});
const sizes = positionals.length > 0 ? positionals.map(Number) : [50, 200];
const work = join(root, '.cache/bench');

/** Runs bench/image-subject.mjs: `{reports, stall}`. `group`: a memory control group for it, without a limit yet. */
function subject(megabytes, ways, group) {
  const enter = group ? ['sh', '-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', group] : ['env'];
  const flags = ['--expose-gc', `--max-old-space-size=${megabytes * 3 + 512}`];
  const args = [values.node, ...flags, join(root, 'bench/image-subject.mjs'), String(megabytes), work, ...ways];
  const child = spawn(enter[0], [...enter.slice(1), ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (text) => {
    output += text;
    if (!/^ready$/m.test(output)) return;
    output = output.replace(/^ready\n/m, '');
    if (group) limitGroup(group);
    child.stdin.end('go');
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(JSON.parse(output));
      else reject(new Problem(`the process with ${megabytes} MB ended with ${signal ?? `status ${code}`}`));
    });
  });
}

/** The group may have 20 MB more than it uses, file cache apart. */
function limitGroup(group) {
  const read = (name) => readFileSync(join(group, name), 'utf8');
  const cache = Number(/^total_inactive_file (\d+)$/m.exec(read('memory.stat'))[1]);
  const used = Number(read('memory.usage_in_bytes')) - cache;
  writeFileSync(join(group, 'memory.limit_in_bytes'), `${Math.ceil((used + GOALS.left) / 4096) * 4096}`);
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
const mb = (bytes) => `${(bytes / MB).toFixed(bytes < 100 * MB ? 1 : 0)} MB`;
const ms = (value) => (value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${value.toFixed(0)} ms`);
const range = (numbers, show) => `${show(median(numbers))} (${show(Math.min(...numbers))}–${show(Math.max(...numbers))})`;

async function measure(megabytes) {
  const runs = { image: [], packed: [], plain: [] };
  const ratios = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    removeFiles();
    const { reports } = await subject(megabytes, Object.keys(runs));
    for (const [way, report] of Object.entries(reports)) runs[way].push(report);
    ratios.push(reports.plain.duration / reports.image.duration);
  }
  console.log(`\n${bold(`${megabytes} MB`)}`);
  for (const [way, reports] of Object.entries(runs)) {
    const of = (field) => reports.map((report) => report[field]);
    const words = [range(of('duration'), ms), `own memory ${range(of('childPrivateMemory'), mb)}`, `pause ${range(of('pause'), ms)}`];
    console.log(`  ${way.padEnd(8)}${words.join(', ')}, file ${mb(median(of('bytes')))}`);
  }
  console.log(`  complete ${bold(range(ratios, (ratio) => `${ratio.toFixed(1)}×`))} sooner than the plain child in the same process`);
  if (median(ratios) < GOALS.sooner) miss(`${GOALS.sooner}× sooner`);
  const own = median(runs.image.map((report) => report.childPrivateMemory));
  if (own > GOALS.own) miss(`at most ${mb(GOALS.own)} of its own`);
}

/** With little left: the image is whole, the plain child is refused, the server has gone on. */
async function measureLittle() {
  if (!existsSync(join(GROUPS, 'tasks'))) return console.log(yellow('\n  not run: no memory control groups of version 1'));
  const own = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/';
  const parent = existsSync(join(GROUPS, own)) ? join(GROUPS, own) : GROUPS;
  console.log(`\n${bold(`${mb(GOALS.left)} left in a memory control group, ${GOALS.leftAt} MB`)}`);
  for (let round = 0; round < Number(values.rounds); round++) {
    const group = mkdtempSync(join(parent, 'heapdump-bench-'));
    try {
      const { reports, stall, ticks } = await subject(GOALS.leftAt, ['refused', 'image'], group);
      const { refused, image } = reports;
      console.log(`  image ${image.message ?? `whole in ${ms(image.duration)}`}, plain ${refused.code ?? 'written'}; ${ticks} ticks of the server, longest gap ${ms(stall)}`);
      if (image.kind !== 'image') miss('an image with so little left');
    } finally {
      await removeGroup(group);
    }
  }
  return undefined;
}

async function removeGroup(group) {
  for (let tries = 0; tries < 200; tries++) {
    try {
      return rmdirSync(group);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return undefined;
}

/** To free the blocks of a file that is replaced takes a tenth of an image's time. */
function removeFiles() {
  for (const way of ['image', 'packed', 'plain', 'refused']) {
    for (const end of ['heapimage', 'heapimage.zst', 'heapsnapshot']) rmSync(join(work, `${way}.${end}`), { force: true });
  }
}

function miss(goal) {
  console.log(yellow(`  missed: ${goal}`));
}

await main(async () => {
  await build();
  mkdirSync(work, { recursive: true });
  console.log(`load before: ${loadavg()[0].toFixed(2)}`);
  for (const megabytes of sizes) await measure(megabytes);
  await measureLittle();
  removeFiles();
});

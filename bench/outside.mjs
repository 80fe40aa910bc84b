// npm run bench:outside [-- --sizes 200,1000 --rounds 3 --ways outside,gcore --quick]: how long a process stands still while a snapshot of
// it is taken that has not loaded the package: captured from outside, by gdb's gcore, by its inspector. Each has a process of its own,
// one after the other in one run; the stall is the longest that a timer of 1 ms was late in the process, as it says itself, less
// what its garbage collector took of that: V8 collects a heap of 1 GB in seconds, and may do so in the minutes that a snapshot takes.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { build } from '../harness/build.mjs';
import LIMITS from '../harness/limits.cjs';
import { bold, dim, main, root, yellow } from '../harness/run.mjs';

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, sizes: { type: 'string' }, rounds: { type: 'string' }, ways: { type: 'string' } },
});
const sizes = (values.sizes ?? (values.quick ? '50' : '200,1000')).split(',').map(Number);
const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));

/** A heap of so many megabytes, and a timer that says how late it was, each time that it is asked. */
const SUBJECT = `
  globalThis.kept = Array.from({ length: Number(process.argv[1]) * 9000 }, (_, i) => ({ i, text: 'number ' + i }));
  let [last, late, collected] = [performance.now(), [], []];
  setInterval(() => { const now = performance.now(); late.push([last, now]); last = now; if (late.length > 1000) keepLongest(); }, 1);
  const keepLongest = () => { late.sort(([a, b], [c, d]) => d - c - (b - a)).splice(100); };
  const took = ({ entryType, startTime, duration }) => collected.push([startTime, startTime + duration]);
  new (require('node:perf_hooks').PerformanceObserver)((list) => list.getEntries().forEach(took)).observe({ entryTypes: ['gc'] });
  const without = ([from, to]) => to - from - collected.reduce((sum, [a, b]) => sum + Math.max(0, Math.min(b, to) - Math.max(a, from)), 0);
  process.stdin.on('data', () => { console.log(Math.max(...late.map(without)).toFixed(1)); [late, collected] = [[], []]; }).on('end', () => process.exit());
  setTimeout(() => process.exit(1), ${LIMITS.PROGRAM}).unref();`;

const command = (pid, file, ...more) => [process.execPath, path.join(root, 'bin/heapdump-rs.js'), 'node-snapshot', '--pid', `${pid}`, '--output', file, '--force', ...more];

const WAYS = {
  outside: (pid, directory) => command(pid, path.join(directory, 'a.heapsnapshot'), '--via', 'outside', '--json'),
  'image alone': (pid, directory) => command(pid, path.join(directory, 'a.heapimage'), '--via', 'outside', '--json'),
  gcore: (pid, directory) => ['gdb', '-p', `${pid}`, '-batch', '-ex', `generate-core-file ${path.join(directory, 'core')}`],
  inspector: (pid, directory) => command(pid, path.join(directory, 'a.heapsnapshot'), '--via', 'inspector'),
};

async function start(megabytes) {
  const app = spawn(process.execPath, ['--max-old-space-size=4096', '--inspect-port=0', '-e', SUBJECT, '--', `${megabytes}`], { stdio: ['pipe', 'pipe', 'ignore'] });
  const ask = async () => {
    app.stdin.write('\n');
    return Number(`${(await once(app.stdout, 'data'))[0]}`.trim());
  };
  await ask();
  await ask();
  return { app, ask };
}

/** Stall and duration, in ms. */
async function measure(megabytes, way) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'heapdump-bench-'));
  const { app, ask } = await start(megabytes);
  try {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const base = await ask();
    const [program, ...args] = WAYS[way](app.pid, directory);
    const begin = performance.now();
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    let said = '';
    child.stdout.on('data', (text) => (said += text));
    const [code] = await once(child, 'close');
    const took = performance.now() - begin;
    if (code !== 0) throw new Error(`${way}: ended with ${code}`);
    const stopped = said.startsWith('{') ? JSON.parse(said).stoppedMs : undefined;
    return { base, stall: await ask(), took, stopped };
  } finally {
    app.kill('SIGKILL');
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

await main(async () => {
  await build();
  const hasGdb = spawnSync('gdb', ['--version']).status === 0;
  if (!hasGdb) console.log(yellow('gcore: not run, there is no gdb'));
  const wanted = values.ways?.split(',') ?? Object.keys(WAYS);
  const ways = Object.keys(WAYS).filter((each) => wanted.includes(each) && (each !== 'gcore' || hasGdb));
  for (const megabytes of sizes) {
    console.log(`\n${bold(`a heap of ${megabytes} MB`)}, medians of ${rounds}`);
    const stalls = {};
    for (const way of ways) {
      const all = [];
      for (let i = 0; i < rounds; i++) all.push(await measure(megabytes, way));
      const of = (name) => median(all.map((each) => each[name]));
      stalls[way] = of('stall');
      const stopped = of('stopped') === undefined ? '' : `, stopped for ${of('stopped').toFixed(1)} ms`;
      console.log(`${way}: stall ${of('stall').toFixed(0)} ms${stopped}, in all ${(of('took') / 1000).toFixed(1)} s ${dim(`(stall before: ${of('base').toFixed(1)} ms)`)}`);
    }
    for (const other of ['inspector', 'gcore']) {
      if (stalls[other] !== undefined) console.log(`${other} stops it ${(stalls[other] / stalls.outside).toFixed(0)} times as long`);
    }
  }
});

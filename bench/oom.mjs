// npm run bench:oom [-- SHAPE… --node PATH --limits 64,256 --ways raise,fork,exit,core,peer --flags '--optimize_for_size'
// --group 512 --runs 5]:
// snapshots of a process that runs out of memory, ours next to `node --heapsnapshot-near-heap-limit=1` and the published
// node-oom-heapdump. Whether a whole file came, how long the process stood still from the moment on that V8 asked, peak memory.
// V8's own collections before that are told apart, and those after it are found by raising the limit without a snapshot: they
// are nobody's, and taken off before ours and theirs are compared. Ratios carry over to other machines, times do not.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { build } from '../harness/build.mjs';
import { SHAPES, runCase } from '../harness/oom-case.mjs';
import { bold, dim, green, main, red, root, yellow } from '../harness/run.mjs';

const MB = 1024 * 1024;

/** What the project promises: the stop is at most so much of a peer's. */
const STOP = 1 / 20;

const WAYS = {
  raise: 'no snapshot, limit raised',
  fork: 'heapdump-rs, going on',
  exit: 'heapdump-rs, drop-in',
  core: 'node --heapsnapshot-near…',
  peer: 'node-oom-heapdump',
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    node: { type: 'string', default: process.execPath },
    limits: { type: 'string', default: '64,256' },
    ways: { type: 'string', default: Object.keys(WAYS).join() },
    flags: { type: 'string', default: '' },
    group: { type: 'string' },
    runs: { type: 'string', default: '1' },
  },
});
const node = resolve(values.node);
const shapes = positionals.length > 0 ? positionals : SHAPES;

/** The published node-oom-heapdump, its addon built for this Node; undefined, with a word, where that fails. */
function installPeer(version) {
  const home = join(root, '.cache/oom-peer', version);
  const directory = join(home, 'node_modules/node-oom-heapdump');
  const program = 'require(process.argv[1])({ path: "unused", heapdumpOnOOM: true }); process.exit(0)';
  const loads = () => spawnSync(node, ['-e', program, directory], { encoding: 'utf8', timeout: 30_000 });
  if (!existsSync(directory)) {
    mkdirSync(home, { recursive: true });
    writeFileSync(join(home, 'package.json'), JSON.stringify({ private: true, allowScripts: { 'node-oom-heapdump': true } }));
    const prefix = dirname(dirname(node));
    const headers = existsSync(join(prefix, 'include/node/node.h')) ? { npm_config_nodedir: prefix } : {};
    const env = { ...process.env, ...headers, PATH: `${dirname(node)}:${process.env.PATH}` };
    spawnSync('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', 'node-oom-heapdump'], { cwd: home, env, encoding: 'utf8' });
  }
  const { status, stderr } = loads();
  if (status === 0) return directory;
  const why = stderr.split('\n').find((line) => /error/i.test(line)) ?? stderr.split('\n', 1)[0];
  console.log(yellow(`node-oom-heapdump is left out: its addon does not build or load on this Node.js: ${why.trim()}`));
  return undefined;
}

const ms = (value) => {
  if (value === undefined) return '–';
  return value >= 1000 ? `${(value / 1000).toFixed(1)} s` : `${value.toFixed(0)} ms`;
};
const mb = (value) => (value === undefined ? '–' : `${Math.round(value / MB)} MB`);

/** What came of it, in a word or two. */
function outcome(run) {
  if (run.way === 'raise') return dim('–');
  if (run.valid) return green('valid');
  if (run.size === undefined) {
    if (run.record) return yellow(`record: ${run.record.error?.code ?? 'no error'}`);
    return run.files.length === 0 && run.shape === 'churn' ? green('no file') : red('no file');
  }
  return red(run.size === 0 ? '0 bytes' : 'invalid');
}

function show(run) {
  const end = run.timedOut ? 'ended after 300 s' : (run.signal ?? `status ${run.code}`);
  const cells = [
    WAYS[run.way].padEnd(27),
    // Colours are no width.
    outcome(run) + ' '.repeat(Math.max(1, 10 - outcome(run).replace(/\x1b\[\d+m/g, '').length)),
    `stood still ${ms(run.stop)}`.padEnd(24),
    `memory ${mb(run.peak)}${run.children ? ` + child ${mb(run.children)}` : ''}`.padEnd(34),
    dim(`file ${mb(run.size)}, ${end}; V8 collected ${ms(run.collected)} before; longest silence ${ms(run.longest)}`),
  ];
  console.log(`  ${cells.join('')}`);
}

/** Ours against the peers, of all runs of one shape and limit. */
function judge(runs) {
  const ours = runs.filter(({ way }) => way === 'fork');
  if (ours.length === 0) return [];
  const [{ shape }] = ours;
  const peers = ['core', 'peer'].map((way) => runs.filter((run) => run.way === way));
  const problems = [];
  // None of the peers sees Buffers, and one array of 160 MB is too much for their memory.
  const expected = ['array160', 'buffers', 'smallbuffers'].includes(shape) || peers.flat().some(({ valid }) => valid);
  if (expected && !ours.every(({ valid }) => valid)) problems.push('a whole file');
  if (shape === 'churn' && ours.some(({ size }) => size !== undefined)) problems.push('no file for what does not leak');
  if (runs.some(({ way, empty }) => (way === 'fork' || way === 'exit') && empty)) problems.push('no file of 0 bytes');
  const nobodys = medianStop(runs.filter(({ way }) => way === 'raise')) ?? 0;
  // One that gave up early stood still for nothing.
  const stopFor = (runs) => Math.max(1, medianStop(runs.filter(({ valid }) => valid)) - nobodys);
  const stop = stopFor(ours);
  for (const peer of peers) {
    const theirs = stopFor(peer);
    if (Number.isNaN(stop) || Number.isNaN(theirs)) continue;
    const name = peer[0].way === 'core' ? 'node' : 'node-oom-heapdump';
    const note = `${(theirs / stop).toFixed(1)}× shorter than ${name}, ${ms(stop)} to ${ms(theirs)}`;
    console.log(dim(`  stood still for the snapshot ${note}`));
    if (stop > theirs * STOP) problems.push(`a stop of 1/20 (${note})`);
  }
  return problems;
}

function medianStop(runs) {
  const stops = runs.map(({ stop }) => stop).filter((stop) => stop !== undefined).sort((a, b) => a - b);
  return stops.length === 0 ? undefined : (stops[(stops.length - 1) >> 1] + stops[stops.length >> 1]) / 2;
}

await main(async () => {
  await build();
  const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
  const wanted = values.ways.split(',');
  const peer = wanted.includes('peer') ? installPeer(version) : undefined;
  const ways = wanted.filter((way) => way !== 'peer' || peer !== undefined);
  const flags = values.flags.split(' ').filter(Boolean);
  console.log(`Node.js ${version}; load before: ${loadavg()[0].toFixed(2)}`);
  const missed = [];
  for (const limit of values.limits.split(',').map(Number)) {
    for (const shape of shapes) {
      const group = values.group && Number(values.group);
      console.log(`\n${bold(`${shape}, ${limit} MB`)} ${dim([...flags, ...(group ? [`a group of ${group} MB`] : [])].join(' '))}`);
      const runs = [];
      // In turns, so that what else the machine does meets all of them.
      for (let round = 0; round < Number(values.runs); round++) {
        for (const way of ways) {
          const run = await runCase({ node, way, shape, limit, flags, peer, group });
          show(run);
          runs.push(run);
        }
      }
      for (const problem of judge(runs)) {
        console.log(yellow(`  missed: ${problem}`));
        missed.push(`${shape}, ${limit} MB: ${problem}`);
      }
    }
  }
  console.log(missed.length === 0 ? `\n${green('nothing missed')}` : `\n${yellow(`missed:\n  ${missed.join('\n  ')}`)}`);
  console.log('Big Buffers never touch V8’s limit: there ours is heapdump-rs/monitor, watching resident memory.');
});

// The analyzer beside others, on snapshots of about 20 MB, 200 MB and 1 GB that it makes itself:
// `node bench/analyze.mjs [MEGABYTES...]`. Each tool loads a file and computes dominators and retained
// sizes, in a process of its own, one after the other. Figures are only to be compared within one run.
//
// Others are run once, and stopped after LIMIT_SECONDS (120) of CPU; ONLY=a,b leaves out all whose names have none of these.
// PROTOTYPE=path adds another program that takes the file as its only argument, BEFORE=path an older `heapdump-rs` whose `suspects`
// ours is compared with. `node bench/analyze.mjs answers FILE…` measures that part alone, on snapshots that are there.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { devtoolsWorker } from '../harness/devtools/bundle.mjs';
import { heapSnapshotTool } from './heap-snapshot-tool.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, '..');
const target = path.resolve(root, process.env.CARGO_TARGET_DIR ?? 'target');
const cache = path.join(root, '.cache/bench-analyze');
const sizes = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [20, 200, 1000];
const LIMIT_SECONDS = Number(process.env.LIMIT_SECONDS ?? 120);
const PAIRS = 5;

fs.mkdirSync(cache, { recursive: true });
if (process.argv[2] === 'answers') {
  execFileSync('cargo', ['build', '--release', '--quiet', '-p', 'heapdump-cli'], { cwd: root, stdio: 'inherit' });
  for (const file of process.argv.slice(3)) answers(path.resolve(file));
  process.exit();
}

const tools = await prepare();
for (const megabytes of sizes) {
  const file = snapshot(megabytes);
  const { nodes, edges, bytes } = counts(file);
  const of = [`${(bytes / 1e6).toFixed(0)} MB`, `${(nodes / 1e6).toFixed(1)} million nodes`, `${(edges / 1e6).toFixed(1)} million edges`];
  process.stdout.write(`\n${of.join(', ')}\n`);
  process.stdout.write('| tool | user CPU s | times ours | system s | wall s | peak RSS MB | bytes an edge |\n|---|---|---|---|---|---|---|\n');
  let ours;
  for (const tool of tools) {
    const best = measureBest(tool, file);
    ours ??= best?.user;
    process.stdout.write(`| ${tool.name} | ${row(best, ours, edges)} |\n`);
  }
  // Two of the large ones would take the most time of all, and say nothing else.
  cores(file, megabytes > 250 ? undefined : snapshot(megabytes * 1.05));
  answers(file);
}

/** What an answer takes beside a load of the same file (its `summary`): what is suspect in it, and what grew in five of them. */
function answers(file) {
  const binary = path.join(target, 'release/heapdump-rs');
  const commands = {
    load: [binary, 'summary', file, '--limit', '1'],
    suspects: [binary, 'suspects', file],
    'trend of five': [binary, 'trend', ...Array(5).fill(file)],
  };
  const ratios = [['suspects', 'load'], ['trend of five', 'load']];
  if (process.env.BEFORE) {
    commands['suspects, before'] = [process.env.BEFORE, 'suspects', file];
    ratios.push(['suspects', 'suspects, before']);
  }
  const rounds = Array.from({ length: 3 }, () => {
    return Object.fromEntries(Object.entries(commands).map(([name, command]) => [name, measure(command)?.user]));
  });
  const of = (name) => median(rounds.map((round) => round[name]));
  const ratio = (a, b) => median(rounds.map((round) => round[a] / round[b])).toFixed(2);
  process.stdout.write(`\n${path.basename(file)}: user CPU, medians of ${rounds.length} rounds: ${Object.keys(commands).map((name) => `${name} ${of(name).toFixed(1)} s`).join(', ')}\n`);
  for (const [a, b] of ratios) process.stdout.write(`${a} : ${b} = ${ratio(a, b)}\n`);
}

function row(figures, ours, edges) {
  if (!figures) return `not done in ${LIMIT_SECONDS} s of CPU | | | | |`;
  const { user, system, wall, rss } = figures;
  const times = (user / ours).toFixed(1);
  const each = ((rss * 1e6) / edges).toFixed(1);
  return [user.toFixed(2), times, system.toFixed(2), wall.toFixed(2), rss.toFixed(0), each].join(' | ');
}

function measureBest({ command, runs = 1 }, file) {
  let best;
  for (let i = 0; i < runs; i++) {
    const figures = measure(command(file));
    if (!figures) return undefined;
    if (!best || figures.user < best.user) best = figures;
  }
  return best;
}

// GNU time says what a process used, whatever it is written in.
function measure([command, ...args]) {
  const format = '%U %S %e %M';
  const limited = ['sh', '-c', `ulimit -t ${LIMIT_SECONDS} && exec "$@"`, 'sh', command, ...args];
  const all = ['-f', `figures ${format}`, ...limited];
  const result = spawnSync('/usr/bin/time', all, { encoding: 'utf8', cwd: cache, maxBuffer: 1 << 28 });
  const line = /figures ([\d.]+) ([\d.]+) ([\d.]+) (\d+)/.exec(result.stderr ?? '');
  if (result.status !== 0 || !line) return undefined;
  const [user, system, wall, kilobytes] = line.slice(1).map(Number);
  return { user, system, wall, rss: (kilobytes * 1024) / 1e6 };
}

// Our commands with one core and with two, in turn. What else runs on the machine changes from minute to minute: the ratio
// is the median of the pairs' ratios.
function cores(file, later) {
  const binary = path.join(target, 'release/heapdump-rs');
  const commands = {
    'validate (parsing alone)': ['validate', file],
    'dominators': ['dominators', file, '--limit', '1'],
    'summary': ['summary', file, '--limit', '1'],
  };
  if (later) commands.compare = ['compare', file, later, '--limit', '1'];
  if (spawnSync('gzip', ['-1', '-k', '-f', file]).status === 0) {
    commands['summary of the .gz'] = ['summary', `${file}.gz`, '--limit', '1'];
  }
  process.stdout.write(`\n| command, median of ${PAIRS} | user CPU s | wall s, one core | wall s, two | one / two |\n|---|---|---|---|---|\n`);
  for (const [name, args] of Object.entries(commands)) {
    const pairs = [];
    for (let i = 0; i <= PAIRS; i++) {
      const pair = { one: measure(['taskset', '-c', '0', binary, ...args]), two: measure([binary, ...args]) };
      // The first one warms up.
      if (i > 0 && pair.one && pair.two) pairs.push(pair);
    }
    const of = (pick) => median(pairs.map(pick)).toFixed(2);
    const figures = [of(({ one }) => one.user), of(({ one }) => one.wall), of(({ two }) => two.wall), of(({ one, two }) => one.wall / two.wall)];
    process.stdout.write(`| ${name} | ${figures.join(' | ')} |\n`);
  }
  fs.rmSync(`${file}.gz`, { force: true });
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

function counts(file) {
  const binary = path.join(target, 'release/heapdump-rs');
  return JSON.parse(execFileSync(binary, ['validate', file, '--json'], { encoding: 'utf8' }));
}

function snapshot(megabytes) {
  const file = path.join(cache, `${megabytes}.heapsnapshot`);
  if (!fs.existsSync(file)) {
    const heap = `--max-old-space-size=${Math.max(2000, megabytes * 6)}`;
    const make = path.join(here, 'analyze-make.mjs');
    execFileSync(process.execPath, [heap, make, file, String(megabytes)], { stdio: 'inherit' });
  }
  return file;
}

async function prepare() {
  const cargo = [
    'build', '--release', '--quiet', '-p', 'heapsnapshot', '-p', 'heapdump-cli', '--examples', '--bins',
  ];
  execFileSync('cargo', cargo, { cwd: root, stdio: 'inherit' });
  install({ memlab: '^2' });
  await devtoolsWorker();
  const big = ['--max-old-space-size=12000'];
  const found = [
    { name: 'heapdump-rs', runs: 3, command: (file) => [path.join(target, 'release/examples/timing'), file] },
    { name: "Chrome DevTools' worker", command: (file) => [process.execPath, ...big, path.join(here, 'analyze-devtools.mjs'), file] },
    { name: 'memlab', command: (file) => [process.execPath, ...big, path.join(here, 'analyze-memlab.cjs'), file] },
  ];
  const tool = await heapSnapshotTool(cache);
  if (tool) {
    // It has no command for dominators alone: the summary shows retained sizes, and little else.
    found.push({ name: '@heap-snapshot/tool', command: (file) => [...tool, 'summary', file] });
  }
  const parser = path.join(here, 'v8-heap-parser');
  const own = path.join(cache, 'v8-heap-parser');
  const build = ['build', '--release', '--quiet', '--target-dir', own];
  execFileSync('cargo', build, { cwd: parser, stdio: 'inherit' });
  found.push({ name: 'v8-heap-parser', command: (file) => [path.join(own, 'release/bench-v8-heap-parser'), file] });
  if (process.env.PROTOTYPE) {
    found.splice(1, 0, { name: 'PROTOTYPE', runs: 3, command: (file) => [process.env.PROTOTYPE, file] });
  }
  const only = process.env.ONLY?.split(',');
  return found.filter(({ name }, index) => index === 0 || !only || only.some((part) => name.includes(part)));
}

function install(dependencies) {
  const manifest = path.join(cache, 'package.json');
  if (fs.existsSync(path.join(cache, 'node_modules/memlab'))) return;
  fs.writeFileSync(manifest, JSON.stringify({ private: true, dependencies }));
  const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  execFileSync('npm', args, { cwd: cache, stdio: 'inherit' });
}

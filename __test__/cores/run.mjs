// npm run test:cores [-- MAJOR… --quick --times 5 --ways abort,busy]: core files of Node.js processes that never loaded the
// package, of every way to die, turned into snapshots that are whole and have the object that was planted. With --quick once
// each, without 5 times. Needs cores in the working directory (core_pattern), gdb for gcore, and zstd.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { build } from '../../harness/build.mjs';
import LIMITS from '../../harness/limits.cjs';
import { NODES, fetchNode } from '../../harness/nodes.mjs';
import { bold, dim, green, main, red, root, yellow } from '../../harness/run.mjs';
import { validateSnapshot } from '../../harness/validate.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, times: { type: 'string' }, ways: { type: 'string' }, keep: { type: 'boolean' } },
});
const { FILE, WAIT } = LIMITS;
const times = Number(values.times ?? (values.quick ? 1 : 5));

/** How a process dies: options for Node.js, whether it is sent a signal, and how its core is made. */
const WAYS = {
  abort: {},
  uncaught: { flags: ['--abort-on-uncaught-exception'] },
  objects: { flags: ['--max-old-space-size=40'] },
  arrays: { flags: ['--max-old-space-size=40'] },
  idle: { signal: 'SIGSEGV' },
  busy: { signal: 'SIGSEGV' },
  gcore: { subject: 'idle', gcore: true },
  'gcore, busy': { subject: 'busy', gcore: true },
  workers: { signal: 'SIGSEGV' },
  'workers, gcore': { subject: 'workers', gcore: true },
  spawns: { signal: 'SIGSEGV' },
  'spawns, gcore': { subject: 'spawns', gcore: true },
  files: { signal: 'SIGSEGV', env: { UV_USE_IO_URING: '1' } },
  'files, gcore': { subject: 'files', gcore: true, env: { UV_USE_IO_URING: '1' } },
  native: { library: true },
  waits: { library: true },
  zstd: { subject: 'idle', signal: 'SIGABRT', zstd: true },
};

const subject = path.join(root, '__test__/cores/subject.cjs');
const command = path.join(root, 'bin/heapdump-rs.js');

const available = (program) => spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0;

/** Why a way cannot be tried here. */
function obstacle({ gcore, library, zstd }) {
  const pattern = fs.readFileSync('/proc/sys/kernel/core_pattern', 'utf8').trim();
  if (gcore) return available('gdb') ? undefined : 'there is no gdb';
  if (pattern.startsWith('|') || pattern.includes('/')) return `cores go to ${pattern} (core_pattern), not to the working directory`;
  if (library && !available('cc')) return 'there is no C compiler';
  if (zstd && !available('zstd')) return 'there is no zstd';
  return undefined;
}

function buildLibrary(directory) {
  const library = path.join(directory, 'native-fault.node');
  const source = path.join(root, '__test__/cores/native-fault.c');
  const { status, stderr } = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-lpthread'], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return library;
}

/** Lets a process die in `directory`; the path of its core. */
async function makeCore(node, way, directory) {
  const { flags = [], signal, gcore, library, zstd, env = {} } = WAYS[way];
  const args = [...flags, subject, WAYS[way].subject ?? way, ...(library ? [buildLibrary(directory)] : [])];
  const shell = ['-c', 'ulimit -c unlimited; exec "$@"', 'sh', node, ...args];
  const child = spawn('sh', shell, { cwd: directory, stdio: ['ignore', 'pipe', 'ignore'], env });
  const exited = once(child, 'exit');
  const timer = setTimeout(() => child.kill('SIGKILL'), WAIT);
  try {
    const core = path.join(directory, 'core');
    if (signal || gcore) await Promise.race([once(child.stdout, 'data'), exited]);
    if (gcore) {
      const made = spawnSync('gdb', ['-p', child.pid, '-batch', '-ex', `generate-core-file ${core}`], { encoding: 'utf8', timeout: WAIT });
      child.kill('SIGKILL');
      if (!fs.existsSync(core)) throw new Error(`gdb made no core: ${made.stderr.slice(-300)}`);
    } else if (signal) child.kill(signal);
    await exited;
    const name = fs.readdirSync(directory).find((each) => /^core(\.\d+)?$/.test(each));
    if (name === undefined) throw new Error('it left no core');
    const found = path.join(directory, name);
    if (!zstd) return found;
    spawnSync('zstd', ['-q', '-1', '--rm', found]);
    return `${found}.zst`;
  } finally {
    clearTimeout(timer);
    child.kill('SIGKILL');
  }
}

/** What is wrong with a core's snapshot; undefined when nothing is. */
async function wrong(core, node, directory) {
  const output = path.join(directory, 'out.heapsnapshot');
  const args = [command, 'node-snapshot', '--core', core, '--node', node, '--output', output];
  const run = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: FILE });
  if (run.status !== 0) return run.stderr.trim() || `status ${run.status} ${run.signal}`;
  const byName = new Map();
  const OBJECT = 3;
  const onNode = ([type, name]) => type === OBJECT && byName.set(name, (byName.get(name) ?? 0) + 1);
  const { stringTable } = await validateSnapshot(output, { onNode, strings: true });
  const planted = byName.get(stringTable.indexOf('PlantedInCore')) ?? 0;
  return planted > 0 ? undefined : 'the planted object is missing';
}

await main(async () => {
  await build();
  const ways = values.ways?.split(/,(?! )/) ?? Object.keys(WAYS);
  const versions = Object.keys(NODES).filter((version) => positionals.length === 0 || positionals.includes(version.split('.')[0]));
  let failed = 0;
  for (const version of versions) {
    const node = await fetchNode(version);
    console.log(`\n${bold(`Node.js ${version}`)}`);
    for (const way of ways) {
      const reason = obstacle(WAYS[way]);
      if (reason !== undefined) {
        console.log(yellow(`- ${way}: not run, ${reason}`));
        continue;
      }
      const problems = [];
      const start = performance.now();
      for (let i = 0; i < times; i++) {
        const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'heapdump-core-'));
        let problem;
        try {
          problem = await wrong(await makeCore(node, way, directory), node, directory);
        } catch (error) {
          problem = error.message;
        }
        if (problem !== undefined) problems.push(problem);
        if (values.keep && problem !== undefined) console.log(dim(directory));
        else fs.rmSync(directory, { recursive: true, force: true });
      }
      failed += problems.length;
      const took = dim(`${((performance.now() - start) / 1000 / times).toFixed(1)} s each`);
      const count = `${times - problems.length}/${times}`;
      console.log(`${problems.length === 0 ? green('✓') : red('✗')} ${way}: ${count} ${took}`);
      for (const problem of new Set(problems)) console.log(`    ${problem.split('\n').slice(0, 6).join('\n    ')}`);
    }
  }
  console.log(failed === 0 ? green('\nall whole') : red(`\n${failed} failed`));
  if (failed > 0) process.exitCode = 1;
});

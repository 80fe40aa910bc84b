// Limits that do not fit together, said before it matters: the machine's version of control groups for real, version 2 by fixture.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';

import { ROOT, startApp, startProgram } from './support/app.mjs';
import { BIN, runCommand } from './support/command.mjs';
import { makeControlGroup, needsRoot } from './support/faults.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';

const require = createRequire(import.meta.url);
const { misfit } = require('../lib/limits.js');
const { groupLimits } = require('../lib/cli/memory.js');

const MIB = 2 ** 20;
const REGISTER = path.join(ROOT, 'lib/register.js');

const group = (t, megabytes) => needsRoot(t) && makeControlGroup(t, 'memory', { 'memory.limit_in_bytes': megabytes * MIB });

/** The line of `doctor --json` about limits, here or of a process. */
async function limitsOf(t, args, options) {
  const { stdout } = await runCommand(t, ['doctor', '--json', ...args], options);
  return JSON.parse(stdout).find(({ check }) => check === 'limits');
}

const idle = ({ heapdump, say, stayAlive }) => {
  stayAlive();
  say('ready', typeof heapdump);
};

test('doctor here: the kernel kills before V8 asks, a snapshot never fits, all fits', async (t) => {
  for (const [megabytes, heap, pattern] of [
    [256, 512, /^V8's heap may take \d+\.\d MB.*, the memory control group allows 268\.4 MB: the kernel kills the process before V8 asks.*; set .*limit of \d+M$/],
    [512, 256, /^V8's heap may take .* allows 536\.9 MB, and a snapshot of .* never fit; set --max-old-space-size=\d+, or a limit of \d+M$/],
    [2048, 64, undefined],
  ]) {
    const made = group(t, megabytes);
    if (!made) return;
    const found = await limitsOf(t, [], { via: made.via, env: { NODE_OPTIONS: `--max-old-space-size=${heap}` } });
    if (pattern === undefined) assert.equal(found, undefined);
    else {
      assert.equal(found.state, 'warning');
      assert.match(found.text, pattern);
    }
  }
});

test('what the line says to set makes it go away, either number', async (t) => {
  const made = group(t, 512);
  if (!made) return;
  const { text } = await limitsOf(t, [], { via: made.via, env: { NODE_OPTIONS: '--max-old-space-size=256' } });
  const [, heap, limit] = /--max-old-space-size=(\d+), or a limit of (\d+)M/.exec(text);
  assert.equal(await limitsOf(t, [], { via: made.via, env: { NODE_OPTIONS: `--max-old-space-size=${heap}` } }), undefined);
  const larger = group(t, Number(limit));
  assert.equal(await limitsOf(t, [], { via: larger.via, env: { NODE_OPTIONS: '--max-old-space-size=256' } }), undefined);
});

test('doctor --pid: what it says itself, its option, or what Node.js chooses in a container', async (t) => {
  const made = group(t, 256);
  if (!made) return;
  // It has its young generation beside what the option says.
  const killed = startApp(t, idle, { via: made.via, nodeOptions: ['--max-old-space-size=300'] });
  await killed.says(/ready/);
  assert.match((await limitsOf(t, ['--pid', killed.pid])).text, /^V8's heap may take 3[1-9]\d\.\d MB.*the kernel kills/);
  await killed.stop();
  for (const [flags, pattern] of [
    [['--max-old-space-size=300'], /^V8's heap may take 314\.6 MB.*the kernel kills/],
    [[], /^V8's heap may take 134\.2 MB.*never fit/],
  ]) {
    const without = [process.execPath, ...flags, '-e', 'console.log("ready"); setTimeout(() => {}, 60_000)'];
    const app = startProgram(t, without, { via: made.via });
    await app.says(/ready/);
    assert.match((await limitsOf(t, ['--pid', app.pid])).text, pattern);
    await app.stop();
  }
  const fits = startApp(t, idle, { nodeOptions: ['--max-old-space-size=16'] });
  await fits.says(/ready/);
  assert.equal(await limitsOf(t, ['--pid', fits.pid]), undefined);
});

/** What register says at the start of an application that does nothing. */
async function registered(t, made, words, heap) {
  const node = [process.execPath, `--max-old-space-size=${heap}`, '--require', REGISTER, '-e', '1'];
  const env = { NODE_HEAPDUMP_OPTIONS: `${words},dir=${makeTemporaryDirectory(t).path}` };
  return (await startProgram(t, node, { env, via: made.via }).ended()).stderr;
}

test('register says it in one line at the start, only of what it was asked for', async (t) => {
  const made = group(t, 256);
  if (!made) return;
  assert.match(await registered(t, made, 'oom', 400), /^heapdump-rs: V8's heap may take .*the kernel kills.*\n$/);
  assert.match(await registered(t, made, 'threshold=90%', 200), /^heapdump-rs: V8's heap .* a snapshot of .* never fit; set .*\n$/);
  assert.equal(await registered(t, made, 'threshold=10MB', 400), '');
  assert.equal(await registered(t, made, 'rss=64GB', 400), '');
  assert.equal(await registered(t, made, 'oom', 16), '');
});

/** The limits of a process in the group /pod/app of version 2. */
function version2(t, files) {
  const root = makeTemporaryDirectory(t);
  const write = (name, text) => {
    fs.mkdirSync(path.dirname(root.at(name)), { recursive: true });
    fs.writeFileSync(root.at(name), `${text}\n`);
  };
  write('proc/self/mountinfo', '30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw');
  for (const [name, text] of Object.entries(files)) write(`sys/fs/cgroup/pod/${name}`, text);
  return groupLimits({ read: () => '0::/pod/app\n' }, root.path);
}

test('version 2: the smallest on the way up, memory.high, memory.oom.group', (t) => {
  const nested = version2(t, { 'app/memory.max': 'max', 'memory.max': 512 * MIB, 'app/memory.oom.group': 1 });
  assert.deepEqual(nested, { most: 512 * MIB, hard: 512 * MIB, oomGroup: true });
  const high = version2(t, { 'app/memory.max': 512 * MIB, 'app/memory.high': 256 * MIB });
  assert.deepEqual(high, { most: 256 * MIB, hard: 512 * MIB, oomGroup: false });
  const slowed = version2(t, { 'app/memory.high': 256 * MIB });
  assert.deepEqual(slowed, { most: 256 * MIB, hard: Infinity, oomGroup: false });
  assert.equal(version2(t, { 'app/memory.max': 'max' }), undefined);

  // Slowed down is not killed; where the group dies as one more is kept back.
  assert.match(misfit({ heapLimit: 300 * MIB, group: high }), /never fit/);
  assert.match(misfit({ heapLimit: 300 * MIB, rest: 300 * MIB, group: high }), /with 314\.6 MB beside it.*the kernel kills/);
  const large = { most: 2048 * MIB, hard: 2048 * MIB };
  assert.equal(misfit({ heapLimit: 340 * MIB, group: { ...large, oomGroup: false } }), undefined);
  assert.match(misfit({ heapLimit: 340 * MIB, group: { ...large, oomGroup: true } }), /never fit/);
});

test('without a control group that limits, nothing is said', async (t) => {
  const { code, stdout } = await startProgram(t, [process.execPath, '--max-old-space-size=100000', BIN, 'doctor'], {}).ended();
  assert.ok(code !== 2 && !/limits/.test(stdout), stdout);
});

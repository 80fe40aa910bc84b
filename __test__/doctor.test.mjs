// npx heapdump-rs doctor: what it says is what is so, and what it calls bad is.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { startApp, startProgram } from './support/app.mjs';
import { runCommand } from './support/command.mjs';
import {
  WITHOUT_RIGHTS,
  makeControlGroup,
  mountReadOnly,
  needsRoot,
  needsTool,
  refusingForks,
} from './support/faults.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { waitFor } from './support/processes.mjs';

const loaded = ({ heapdump, say, stayAlive }) => {
  stayAlive();
  say('ready', typeof heapdump);
};
const unloaded = ({ say, stayAlive }) => {
  stayAlive();
  say('ready');
};

async function start(t, body, options) {
  const app = startApp(t, body, options);
  await app.says(/ready/);
  return app;
}

/** Its findings by name, and its exit code. */
async function doctor(t, args = [], options = {}) {
  const { code, stdout, stderr } = await runCommand(t, ['doctor', '--json', ...args], options);
  assert.equal(stderr, '');
  const found = Object.fromEntries(JSON.parse(stdout).map(({ check, ...finding }) => [check, finding]));
  return { code, ...found };
}

const states = ({ code, ...found }) =>
  Object.fromEntries(Object.entries(found).map(([check, { state }]) => [check, state]));

test('here: a child is really forked, and every line is good', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const { code, stdout } = await runCommand(t, ['doctor'], { cwd: directory.path });
  assert.equal(code, 0, stdout);
  assert.deepEqual(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.slice(0, 9).trim()),
    ['✓ fork', '✓ memory', '✓ image', '✓ signal', '✓ files', '✓ cores', '✓ pause'],
  );
  assert.match(stdout, /a child took a snapshot of this process in \d+ ms/);
  assert.deepEqual(directory.names(), []);
});

test('here: what prevents a dump is bad, and the exit code says so', async (t) => {
  const missing = await doctor(t, [], { env: { NODE_HEAPDUMP_OPTIONS: 'dir=/does/not/exist' } });
  assert.equal(missing.code, 1);
  assert.match(
    missing.files.text,
    /\/does\/not\/exist: there is no such directory; set NODE_HEAPDUMP_OPTIONS=dir=PATH/,
  );
  const nosignal = await doctor(t, [], { env: { NODE_HEAPDUMP_OPTIONS: 'nosignal' } });
  assert.deepEqual([nosignal.code, nosignal.signal.state], [0, 'warning']);
  if (needsTool(t, 'strace')) {
    const refused = await doctor(t, [], { via: refusingForks('EPERM') });
    assert.deepEqual([refused.code, refused.fork.state], [1, 'bad']);
    assert.match(refused.fork.text, /ERR_HEAPDUMP_FORK_UNAVAILABLE/);
  }
  if (needsRoot(t)) {
    const directory = makeTemporaryDirectory(t);
    const { code, files } = await doctor(t, [], { cwd: mountReadOnly(t, directory.path).path });
    assert.equal(code, 1);
    assert.match(files.text, /the file system is read-only/);
  }
});

test('a process that has loaded the package', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = await start(t, loaded, { cwd: directory.path, env: { NODE_HEAPDUMP_OPTIONS: 'signal=SIGHUP' } });
  const found = await doctor(t, ['--pid', app.pid]);
  assert.deepEqual(states(found), {
    process: 'good',
    fork: 'good',
    memory: 'good',
    image: 'good',
    signal: 'good',
    files: 'good',
    cores: 'good',
    pause: 'good',
  });
  assert.match(found.image.text, /off unless asked for .*it holds all memory of the process/);
  assert.match(found.signal.text, new RegExp(`SIGHUP dumps \\(kill -HUP ${app.pid}\\)`));
  assert.ok(found.files.text.includes(directory.path));
  assert.match(found.pause.text, /about \d+ ms/);
});

test('what an image would take, beside what a snapshot would, and whether one is to come', async (t) => {
  if (process.arch !== 'x64') return t.diagnostic('not run: images are of Linux x64');
  const here = await doctor(t);
  assert.match(here.image.text, /^a heap image takes about [\d.]+ MB on the disk.* and [\d.]+ MB of the [\d.]+ .B below /);
  for (const [words, said] of [['image', 'are images:'], ['low-memory=image', 'are images where memory is short:']]) {
    assert.ok((await doctor(t, [], { env: { NODE_HEAPDUMP_OPTIONS: words } })).image.text.includes(said), words);
  }
  const app = await start(t, loaded, { env: { NODE_HEAPDUMP_OPTIONS: 'low-memory=image' } });
  assert.match((await doctor(t, ['--pid', app.pid])).image.text, /are images where memory is short:/);
});

test('a process that has not loaded it', async (t) => {
  const found = await doctor(t, ['--pid', (await start(t, unloaded)).pid]);
  assert.match(found.process.text, /has not loaded heapdump-rs: (node-snapshot --pid \d+ captures it from outside, stopped for about \d+ ms|it cannot be captured)/);
  assert.match(found.signal.text, /SIGUSR2 would end the process/);
  assert.equal(found.pause.state, /captures/.test(found.process.text) ? 'good' : 'warning');
  const own = await start(t, unloaded, { nodeOptions: ['--heapsnapshot-signal=SIGUSR2'] });
  assert.match((await doctor(t, ['--pid', own.pid])).signal.text, /makes Node.js itself write a snapshot/);
});

test('a process under nodemon would dump where it is to restart', async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.writeFileSync(
    directory.at('nodemon.js'),
    `require('node:child_process').spawn(...JSON.parse(process.argv[2]), { stdio: 'inherit' });`,
  );
  const command = [process.execPath, ['-e', 'console.log("pid", process.pid); setInterval(() => {}, 1000)']];
  const app = startProgram(t, [process.execPath, directory.at('nodemon.js'), JSON.stringify(command)]);
  const [, pid] = await app.says(/pid (\d+)/);
  try {
    assert.match((await doctor(t, ['--pid', pid])).signal.text, /nodemon restarts by SIGUSR2.*--signal SIGTERM/);
  } finally {
    process.kill(Number(pid), 'SIGKILL');
  }
});

test('the limit of its memory control group is found', async (t) => {
  const group = needsRoot(t) && makeControlGroup(t, 'memory', { 'memory.limit_in_bytes': 120 * 1024 * 1024 });
  if (!group) return;
  const app = await start(t, loaded, { via: group.via });
  const { memory } = await doctor(t, ['--pid', app.pid]);
  assert.match(memory.text, /below the memory control group/);
  await app.stop();
  await waitFor('it has ended', () => app.hasEnded);
});

test('a user who may not write where the dumps would go', async (t) => {
  if (!needsRoot(t)) return;
  const directory = makeTemporaryDirectory(t);
  fs.chmodSync(directory.path, 0o755);
  const app = await start(t, unloaded, { cwd: directory.path, via: WITHOUT_RIGHTS });
  const { code, files } = await doctor(t, ['--pid', app.pid]);
  assert.equal(code, 1);
  assert.match(files.text, /its user may not write there/);
});

test('what cannot be looked at ends with 2', async (t) => {
  const sleeper = startProgram(t, ['sleep', '60']);
  for (const [pid, pattern] of [
    [sleeper.pid, /is not a Node process/],
    ['-1', /--pid|argument/],
    [2 ** 31 - 1, /no such process/],
  ]) {
    const { code, stderr } = await runCommand(t, ['doctor', '--pid', pid]);
    assert.equal(code, 2);
    assert.match(stderr, pattern);
  }
});

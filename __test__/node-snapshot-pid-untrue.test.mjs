// npx heapdump-rs node-snapshot --pid of a process that is not what its number, its page or its files say.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { validateSnapshot } from '../harness/validate.mjs';
import { startProgram } from './support/app.mjs';
import { OWN_PORT, askNow, loaded, start, unloaded } from './support/asked.mjs';
import { runCommand } from './support/command.mjs';
import { needsRoot, needsTool } from './support/faults.mjs';
import { makeTemporaryDirectory, watchOpens } from './support/files.mjs';
import { isRunning, processInfo } from './support/processes.mjs';

const require = createRequire(import.meta.url);
const { readFacts } = require('../lib/cli/facts.js');
const { Target } = require('../lib/cli/processes.js');
const nodeSnapshot = require('../lib/cli/node-snapshot.js');

const PAGE = fileURLToPath(new URL('children/page.py', import.meta.url));

test('a number that is another process\' by now gets no signal, and its inspector stays closed', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = await start(t, loaded, { cwd: directory.path });
  const target = Object.assign(new Target(app.pid), { start: '1' });
  await assert.rejects(askNow(app, directory.at('a'), target), /process \d+ has ended$/);
  assert.equal(readFacts(app.pid).signals, 0);
  const other = await start(t, unloaded, { nodeOptions: OWN_PORT });
  // As `--all`, which finds all of them first.
  const found = new Target(other.pid);
  t.mock.method(Target.prototype, 'isRunning', () => false);
  await assert.rejects(nodeSnapshot.main({ pid: `${other.pid}`, exactly: true, output: directory.at('a') }), /process \d+ has ended$/);
  assert.deepEqual(found.listeners(), []);
  assert.equal(other.stderr, '');
  assert.deepEqual(directory.names(), []);
});

test('a process that no longer answers the signal is not sent it', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = await start(t, loaded, { cwd: directory.path, env: { NODE_HEAPDUMP_OPTIONS: 'signal=SIGHUP' } });
  await assert.rejects(askNow(app, directory.at('a')), /no longer answers SIGUSR2, which is not sent/);
  assert.ok(isRunning(processInfo(app.pid)));
  if (!needsTool(t, 'python3')) return;
  // Its page says so, and it does not catch it.
  const deaf = startProgram(t, ['python3', PAGE, '{}']);
  await deaf.says(/ready/);
  await assert.rejects(askNow(deaf, directory.at('a'), undefined, 'SIGHUP'), /no longer answers SIGHUP, which is not sent/);
  assert.ok(isRunning(processInfo(deaf.pid)));
});

/** A process that says of a file that it is the dump that was asked for. */
async function naming(t, file, options) {
  const { dev, ino } = fs.statSync(file, { bigint: true });
  const dump = { number: 1, cause: 'signal', state: 'complete', main: true, path: file, file: `${dev}:${ino}`, askedAt: Date.now() };
  const app = startProgram(t, ['python3', PAGE, '{}', JSON.stringify({ signals: 1, snapshots: [dump] })], options);
  await app.says(/ready/);
  return app;
}

test('a device that a process says is its dump is never opened', async (t) => {
  if (!needsTool(t, 'python3')) return;
  const directory = makeTemporaryDirectory(t);
  const app = await naming(t, '/dev/null');
  const opened = watchOpens(t);
  await assert.rejects(askNow(app, directory.at('a'), undefined, 'SIGHUP'), /the dump of process \d+ is no longer at \/dev\/null/);
  assert.deepEqual(opened, []);
});

test("another user's snapshot that a process says is its dump is neither copied nor removed", async (t) => {
  if (!needsRoot(t) || !needsTool(t, 'python3')) return;
  const directory = makeTemporaryDirectory(t);
  const app = await start(t, loaded, { cwd: directory.path });
  const file = directory.at('root.heapsnapshot');
  await askNow(app, file);
  fs.chmodSync(directory.path, 0o755);
  const theirs = await naming(t, file, { env: { UID: '65534' } });
  const ask = ['node-snapshot', '--pid', theirs.pid, '--output', directory.at('copy')];
  const { code, stderr } = await runCommand(t, ask);
  assert.equal(code, 2);
  assert.match(stderr, /root\.heapsnapshot, which process \d+ says is its dump, belongs to root, and is left alone/);
  assert.deepEqual(directory.names(), ['root.heapsnapshot']);
  fs.chownSync(file, 65534, 65534);
  const own = await naming(t, file, { env: { UID: '65534' } });
  assert.equal((await runCommand(t, ['node-snapshot', '--pid', own.pid, '--output', directory.at('copy')])).code, 0);
  assert.deepEqual(directory.names(), ['copy']);
});

test('of a process that runs with the rights of another user than wrote its page nothing is believed', async (t) => {
  if (!needsRoot(t) || !needsTool(t, 'python3')) return;
  const directory = makeTemporaryDirectory(t);
  const file = directory.at('root.heapsnapshot');
  fs.writeFileSync(file, '');
  const app = await naming(t, file, { env: { OWNER: '65534' } });
  const { code, stderr } = await runCommand(t, ['node-snapshot', '--pid', app.pid, '--output', directory.at('copy')]);
  assert.equal(code, 2);
  assert.match(stderr, /what process \d+ says of itself was written by somebody else/);
});

test('a process that has given up its first user since it loaded the package is asked as any other', async (t) => {
  if (!needsRoot(t)) return;
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('app'));
  for (const name of ['.', 'app']) fs.chmodSync(directory.at(name), 0o777);
  const app = await start(
    t,
    ({ heapdump, say, stayAlive }) => {
      stayAlive();
      say(typeof heapdump);
      process.setuid(65534);
      say('ready');
    },
    { cwd: directory.at('app') },
  );
  const { code, stderr } = await runCommand(t, ['node-snapshot', '--pid', app.pid, '--output', directory.at('a.heapsnapshot')]);
  assert.deepEqual([code, stderr], [0, '']);
  await validateSnapshot(directory.at('a.heapsnapshot'));
  assert.deepEqual(directory.names('app'), []);
});

// npx heapdump-rs node-snapshot --pid of a process that never loaded the package: captured from outside. It goes on, whatever happens.
// Many captures, all versions, the tracer killed at each of its steps: npm run test:outside.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { test } from 'node:test';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import zlib from 'node:zlib';

import limits from '../harness/limits.cjs';
import { checkSnapshot, checkSubject, copiesOf, startSubject, traces } from './outside/subject.mjs';
import { startProgram } from './support/app.mjs';
import { runCommand } from './support/command.mjs';
import { WITHOUT_RIGHTS, mountTmpfs, needsRoot, needsTool, refusing } from './support/faults.mjs';
import { makeTemporaryDirectory, modeOf } from './support/files.mjs';
import { assertWholeImageFile } from './support/images.mjs';
import { childrenOf, isRunning, processInfo, waitFor } from './support/processes.mjs';
import { restoresImages, tracer } from './support/restored.mjs';

/** A busy machine may take long for a stop. */
const PATIENT = ['--max-stop', `${limits.WAIT / 1000}s`];

const capture = (t, pid, file, ...more) => runCommand(t, ['node-snapshot', '--pid', pid, ...PATIENT, '--output', file, '--force', ...more]);

/** The tracer by itself; its image goes nowhere. */
function startTracer(t, pid) {
  return startProgram(t, [tracer(), `${pid}`, '--limit', `${limits.WAIT}`], { spawn: { stdio: ['ignore', 'ignore', 'pipe'] } });
}

/** While it starts a process of its own, libuv blocks all signals for a moment. */
async function tracesAtRest(pid) {
  let found;
  await waitFor('no signal is blocked', () => /^0+$/.test((found = traces(pid)).blocked));
  return found;
}

test('it is stopped for milliseconds, copied, and goes on; the snapshot is whole, and nothing is left in it', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  const app = await startSubject(t, 'http');
  const before = await tracesAtRest(app.pid);
  const { code, stdout, stderr } = await capture(t, app.pid, directory.at('a.heapsnapshot'));
  assert.equal(code, 0, stderr);
  assert.match(stderr, /is stopped for about \d+ ms \(.*\), copied from outside, and goes on\nstopped for [\d.]+ ms \(fork [\d.]+ ms\) and [\d.]+ ms; \d+ threads; [\d.]+ MB read in \d+ ms\n$/);
  const nodes = await checkSnapshot(directory.at('a.heapsnapshot'));
  assert.match(stdout, new RegExp(`complete, [\\d.]+ MB, ${nodes} objects`));
  assert.equal(modeOf(directory.at('a.heapsnapshot')), 0o600);
  const { done } = await checkSubject(app);
  assert.ok(done > 0);
  assert.deepEqual([await tracesAtRest(app.pid), copiesOf(app.pid)], [before, []]);
  await waitFor('it works on', async () => (await checkSubject(app)).done > done);
  assert.deepEqual(directory.names(), ['a.heapsnapshot']);
});

test('an image is kept where its name asks for one, and becomes a snapshot elsewhere', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  const app = await startSubject(t);
  const names = ['a.heapimage', ...(zlib.createZstdCompress && needsTool(t, 'zstd') ? ['b.heapimage.zst'] : [])];
  for (const name of names) {
    const { code, stdout, stderr } = await capture(t, app.pid, directory.at(name), '--json');
    assert.equal(code, 0, stderr);
    const { file, kind, via, stoppedMs, forkMs, copyMs, bytesRead, threads, node, deadCopyLeft } = JSON.parse(stdout);
    assert.deepEqual([file, kind, via, deadCopyLeft], [directory.at(name), 'image', 'outside', false]);
    assert.equal(node, process.versions.node);
    assert.ok(stoppedMs > forkMs && forkMs > 0 && copyMs > 0 && bytesRead > 5e6 && threads > 1, stdout);
    assertWholeImageFile(directory.at(name));
  }
  await app.stop();
  for (const name of names) {
    const output = directory.at(`${name}.heapsnapshot`);
    const { code, stderr } = await runCommand(t, ['node-snapshot', '--image', directory.at(name), '--output', output]);
    assert.equal(code, 0, stderr);
    await checkSnapshot(output);
  }
});

test('a dry run says which ways are open and what each costs; a limit for the stop is kept', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  const app = await startSubject(t);
  const dry = (...more) => runCommand(t, ['node-snapshot', '--pid', app.pid, '--dry-run', ...more]);
  const { code, stdout } = await dry();
  assert.equal(code, 0);
  assert.match(stdout, /^✗ signal .*\n✓ outside   would stop it for about \d+ ms\n✓ inspector would stop it for about .*\nprocess .*: --via auto takes it by outside\n$/);
  const limited = await dry('--max-stop', '1ms', '--json');
  assert.equal(limited.code, 1);
  const { via, ways } = JSON.parse(limited.stdout);
  assert.equal(via, null);
  assert.match(ways[1].obstacle, /stopped for about \d+ ms, longer than --max-stop allows \(1 ms\)/);
  const refused = await capture(t, app.pid, directory.at('a'), '--max-stop', '1ms');
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /cannot be captured from outside: .*--max-stop.*\. --via inspector stops it for about/);
  for (const [more, expected] of [
    [['--via', 'gdb'], /--via must be one of auto, signal, outside, inspector/],
    [['--via', 'signal'], /answers no signal for heapdump-rs/],
    [['--max-stop', '5'], /--max-stop must be a time as 200ms or 1s/],
  ]) {
    assert.match((await capture(t, app.pid, directory.at('a'), ...more)).stderr, expected);
  }
  assert.deepEqual(directory.names(), []);
});

test('one that is traced already, or is none of Node.js, is left alone', async (t) => {
  if (!restoresImages(t) || !needsTool(t, 'strace')) return;
  const directory = makeTemporaryDirectory(t);
  const app = await startSubject(t);
  const strace = startProgram(t, ['strace', '-f', '-o', '/dev/null', '-p', `${app.pid}`]);
  await strace.says(/attached/, { on: 'stderr' });
  const { code, stderr } = await capture(t, app.pid, directory.at('a'));
  assert.equal(code, 2);
  assert.match(stderr, new RegExp(`process ${strace.pid} traces it already`));
  const ended = startTracer(t, app.pid);
  assert.match((await ended.ended()).stderr, /^stop traced: /m);
  const sleeper = startProgram(t, ['sleep', '600']);
  await waitFor('it sleeps', () => processInfo(sleeper.pid)?.name === 'sleep');
  assert.match((await startTracer(t, sleeper.pid).ended()).stderr, /^stop not-node: it was not Node\.js/m);
  assert.ok(isRunning(processInfo(sleeper.pid)));
});

test('one that is stopped (SIGSTOP) is captured, and stays stopped', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  const app = await startSubject(t);
  app.kill('SIGSTOP');
  await waitFor('it is stopped', () => processInfo(app.pid).state === 'T');
  const { code, stderr } = await capture(t, app.pid, directory.at('a.heapsnapshot'));
  assert.equal(code, 0, stderr);
  await checkSnapshot(directory.at('a.heapsnapshot'));
  assert.equal(processInfo(app.pid).state, 'T');
  assert.deepEqual(copiesOf(app.pid), []);
  app.kill('SIGCONT');
  await checkSubject(app);
});

test('a tracer that is killed at any time leaves it unharmed, and the next one takes away what was left', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  const app = await startSubject(t, 'compute');
  // What was let into children for the fork stays so where the tracer dies between: later forks copy more page tables (docs/outside.md).
  const seen = () => ({ ...traces(app.pid), kept: undefined });
  const before = seen();
  for (let i = 0; i < 12; i++) {
    const killed = startTracer(t, app.pid);
    await delay(i * 8);
    killed.kill('SIGKILL');
    await killed.exited();
    await waitFor('no copy runs', () => copiesOf(app.pid).every((state) => state === 'Z'));
    await checkSubject(app);
    assert.deepEqual(seen(), before);
  }
  const { code, stderr } = await capture(t, app.pid, directory.at('a.heapimage'));
  assert.equal(code, 0, stderr);
  assert.deepEqual(copiesOf(app.pid), []);
  await checkSubject(app);
});

test('no signal is lost to captures', async (t) => {
  if (!restoresImages(t)) return;
  const app = await startSubject(t, 'signals');
  let sent = 0;
  for (const signal of ['SIGUSR2', 'SIGTRAP', 'SIGTRAP', 'SIGTRAP']) {
    const running = startTracer(t, app.pid);
    // Signals of one kind that wait are one: each is seen before the next.
    while (!running.hasEnded) {
      app.kill(signal);
      sent++;
      await waitFor('the signal is seen', async () => (await checkSubject(app)).done === sent);
    }
    assert.match(running.stderr, /^is second-stop-us/m);
  }
  assert.ok(sent > 3);
});

test('a reader that does not read is not waited for, and Ctrl-Z stops nothing', async (t) => {
  if (!restoresImages(t)) return;
  const app = await startSubject(t);
  const running = spawn(tracer(), [`${app.pid}`], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => running.kill('SIGKILL'));
  // It writes until the pipe is full: the process goes on already.
  await waitFor('the copy is there', () => copiesOf(app.pid).length > 0);
  running.kill('SIGTSTP');
  await checkSubject(app);
  const end = once(running, 'exit');
  running.kill('SIGTERM');
  assert.equal((await end)[0], 1);
  assert.deepEqual(copiesOf(app.pid), []);
  await checkSubject(app);
});

test('a full disk, a reader that goes away, an end by a signal: it goes on, and no copy stays', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  const app = await startSubject(t);
  if (needsRoot(t)) {
    const small = mountTmpfs(t, '1M');
    const { code, stderr } = await capture(t, app.pid, small.at('a.heapimage'));
    assert.equal(code, 2);
    assert.match(stderr, /no space is left/);
    assert.deepEqual([copiesOf(app.pid), small.names()], [[], []]);
  }
  for (const end of [(running) => running.closeOutput(), (running) => running.kill('SIGTERM')]) {
    const running = spawn(tracer(), [`${app.pid}`], { stdio: ['ignore', 'pipe', 'pipe'] });
    running.closeOutput = () => running.stdout.destroy();
    let said = '';
    running.stderr.setEncoding('utf8').on('data', (text) => (said += text));
    await waitFor('the copy is made', () => /is fork-us/.test(said));
    end(running);
    running.stdout.resume();
    await once(running, 'exit');
    assert.match(said, /^stop (output|interrupted): /m);
    assert.deepEqual(copiesOf(app.pid), []);
  }
  await checkSubject(app);
  assert.deepEqual(directory.names(), []);
});

test('one that ends meanwhile: what was copied is whole', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  const app = await startSubject(t);
  const running = spawn(tracer(), [`${app.pid}`], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  running.stderr.setEncoding('utf8').on('data', (text) => (said += text));
  await waitFor('the copy is made', () => /is fork-us/.test(said));
  await app.stop();
  await app.exited();
  const exited = once(running, 'exit');
  await pipeline(running.stdout, fs.createWriteStream(directory.at('a.heapimage')));
  const [status] = await exited;
  assert.equal(status, 0, said);
  assertWholeImageFile(directory.at('a.heapimage'));
});

test('whoever may not trace it is told what would help; who may needs no more', async (t) => {
  if (!restoresImages(t) || !needsRoot(t)) return;
  const directory = makeTemporaryDirectory(t);
  fs.chmodSync(directory.path, 0o777);
  const canRun = (program) => spawnSync(WITHOUT_RIGHTS[0], [...WITHOUT_RIGHTS.slice(1), program, '--version']).status !== 127;
  if (!canRun(process.execPath) || !canRun(tracer())) return t.diagnostic('not run: others cannot run Node.js, or what is built here');
  const theirs = await startSubject(t, 'idle', { via: WITHOUT_RIGHTS });
  const { code, stderr } = await runCommand(t, ['node-snapshot', '--pid', theirs.pid, ...PATIENT, '--output', directory.at('a.heapsnapshot')], { via: WITHOUT_RIGHTS });
  assert.equal(code, 0, stderr);
  await checkSnapshot(directory.at('a.heapsnapshot'));
  const asRoot = await capture(t, theirs.pid, directory.at('b.heapsnapshot'));
  assert.equal(asRoot.code, 0, asRoot.stderr);
  await checkSnapshot(directory.at('b.heapsnapshot'));
  const ours = await startSubject(t);
  const running = startProgram(t, [...WITHOUT_RIGHTS, tracer(), `${ours.pid}`]);
  assert.match((await running.ended()).stderr, /^stop refused: to read its memory is not permitted \(error 13\)$/m);
  await checkSubject(ours);
});

test('in a namespace of its own it is captured from outside of that', async (t) => {
  if (!restoresImages(t) || !needsRoot(t) || !needsTool(t, 'unshare')) return;
  const directory = makeTemporaryDirectory(t);
  const outer = await startSubject(t, 'idle', { via: ['unshare', '--pid', '--fork', '--kill-child'] });
  const [{ pid }] = childrenOf(outer.pid);
  const { code, stderr } = await capture(t, pid, directory.at('a.heapsnapshot'));
  assert.equal(code, 0, stderr);
  await checkSnapshot(directory.at('a.heapsnapshot'));
  assert.deepEqual(copiesOf(pid), []);
  await checkSubject(outer);
});

test('a seccomp filter is suspended, or must be known to be mild', async (t) => {
  const via = restoresImages(t) && refusing(t, 'fork', 1);
  if (!via) return;
  const app = await startSubject(t, 'idle', { via });
  if (needsRoot(t)) {
    // Without CAP_SYS_ADMIN the filter stays, and this process has none itself.
    const unprivileged = ['setpriv', '--bounding-set=-sys_admin', '--inh-caps=-sys_admin', '--'];
    const running = startProgram(t, [...unprivileged, tracer(), `${app.pid}`], { spawn: { stdio: ['ignore', 'ignore', 'pipe'] } });
    assert.match((await running.ended()).stderr, /^stop filter: /m);
    const trusting = startProgram(t, [...unprivileged, tracer(), `${app.pid}`, '--trust-filter'], { spawn: { stdio: ['ignore', 'ignore', 'pipe'] } });
    assert.match((await trusting.ended()).stderr, /^stop fork: it could not be forked \(error 1\)$/m);
    assert.match((await startTracer(t, app.pid).ended()).stderr, /^is second-stop-us/m);
  }
  await checkSubject(app);
  assert.deepEqual(copiesOf(app.pid), []);
});

// Promises 13 and 14 of the design, as far as they take seconds by their nature: a child that hangs is ended and tried
// again, one that waits for its reader is not, and one whose parent has gone never lives on for ever.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { startApp } from './support/app.mjs';
import { atEndOf, makeTemporaryDirectory } from './support/files.mjs';
import { childrenOf, goneAfter, isRunning, snapshotChildOf, waitFor } from './support/processes.mjs';

/** A program's child for a snapshot that is none of `seen`, stopped; it is then one of them. */
async function stopChild(app, seen) {
  const child = await waitFor('another child', () =>
    childrenOf(app.pid).find(({ name, pid, state }) => name === 'heapdump' && state !== 'Z' && !seen.includes(pid)));
  process.kill(child.pid, 'SIGSTOP');
  seen.push(child.pid);
  return child;
}

// They wait for clocks, not for processors.
describe('the watchdog', { concurrency: true }, () => {
  test('a child that hangs is killed, and the next attempt gives the file', async (t) => {
    const directory = makeTemporaryDirectory(t);
    const app = startApp(t, async ({ promises, fill }) => {
      fill(20_000);
      let turns = 0;
      const timer = setInterval(() => turns++, 1);
      const report = await promises.writeSnapshot('a');
      clearInterval(timer);
      return { report, turns };
    }, { cwd: directory.path });
    const child = await stopChild(app, []);
    await goneAfter(child);
    const { report, turns } = await app.result();
    assert.deepEqual([report.mode, report.attempts], ['fork', 2]);
    assert.ok(turns > 100, `${turns} turns of the event loop meanwhile`);
    assert.deepEqual(directory.names(), ['a']);
    assert.equal((await validateSnapshot(directory.at('a'))).nodes, report.nodes);
  });

  test('a child that hangs three times is an error, and nothing is left', async (t) => {
    const directory = makeTemporaryDirectory(t);
    const app = startApp(t, ({ promises, fill, plain }) => {
      fill(20_000);
      return promises.writeSnapshot('a').catch(plain);
    }, { cwd: directory.path });
    const seen = [];
    for (let i = 0; i < 3; i++) await goneAfter(await stopChild(app, seen));
    const error = await app.result();
    assert.equal(error.code, 'ERR_HEAPDUMP_CHILD_HUNG', JSON.stringify(error));
    assert.match(error.message, /3 times/);
    assert.deepEqual(directory.names(), []);
  });

  test('a signal’s dump whose child hangs is tried again too', async (t) => {
    const directory = makeTemporaryDirectory(t);
    const app = startApp(t, ({ heapdump, fill, say, stayAlive }) => {
      stayAlive();
      fill(20_000);
      require('node:diagnostics_channel').subscribe('heapdump-rs:snapshot', ({ type, report }) => say(type, report?.attempts));
      say('ready', typeof heapdump);
    }, { cwd: directory.path });
    await app.says(/ready/);
    app.kill('SIGUSR2');
    await goneAfter(await stopChild(app, []));
    await app.says(/end 2/);
    assert.equal(directory.names().length, 1);
    await validateSnapshot(directory.at(directory.names()[0]));
  });

  test('a child that hangs before the first byte of its stream is tried again', async (t) => {
    const app = startApp(t, async ({ heapdump, fill }) => {
      fill(20_000);
      const stream = heapdump.createSnapshotStream();
      let bytes = 0;
      stream.on('data', (chunk) => (bytes += chunk.length));
      return new Promise((resolve) => stream.on('report', (report) => setImmediate(() => resolve({ report, bytes }))).on('error', (error) => resolve(error.code)));
    });
    await goneAfter(await stopChild(app, []));
    const { report, bytes } = await app.result();
    assert.deepEqual([report.attempts, report.bytes], [2, bytes]);
  });

  test('a stream whose reader pauses for longer than a hung child may live is whole all the same', async (t) => {
    const app = startApp(t, async ({ heapdump, fill, once }) => {
      fill(20_000);
      const stream = heapdump.createSnapshotStream();
      let bytes = 0;
      let report;
      stream.on('report', (value) => (report = value));
      await once(stream, 'readable');
      // The pause is what is tested: the watchdog's patience with a child outside of write(2) is 5 s.
      await new Promise((resolve) => setTimeout(resolve, 8000));
      for await (const chunk of stream) bytes += chunk.length;
      return { report, bytes };
    });
    const { report, bytes } = await app.result();
    assert.deepEqual([report.attempts, report.bytes], [1, bytes]);
  });

  test('a JavaScript thread inside a native call is waited for', async (t) => {
    const directory = makeTemporaryDirectory(t);
    const app = startApp(t, async ({ heapdump, promises }) => {
      await promises.writeSnapshot('before');
      const dump = promises.writeSnapshot('a');
      const start = performance.now();
      // Neither the event loop nor an interrupt gets through, for longer than V8's workers are held.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4000);
      const waited = performance.now() - start;
      return { report: await dump, waited, status: heapdump.getStatus().running };
    }, { cwd: directory.path });
    const { report } = await app.result();
    assert.equal(report.mode, 'fork');
    assert.deepEqual(directory.names(), ['a', 'before']);
    await validateSnapshot(directory.at('a'));
  });

  test('an orphan that makes no progress ends itself', async (t) => {
    // Another process holds the reading end of the stream's pipe and never reads: the child sleeps in write(2) for ever.
    const app = startApp(t, async ({ heapdump, fill, say, stayAlive }) => {
      const fs = require('node:fs');
      const pipes = () => fs.readdirSync('/proc/self/fd').map(Number).filter((fd) => {
        try {
          return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith('pipe:');
        } catch {
          return false;
        }
      });
      fill(5000);
      const before = pipes();
      const stream = heapdump.createSnapshotStream();
      const ends = pipes().filter((fd) => !before.includes(fd));
      const reader = ends.find((fd) => (parseInt(/flags:\s+(\d+)/.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))[1], 8) & 3) === 0);
      const holder = require('node:child_process').spawn('sleep', ['300'], { stdio: ['ignore', 'ignore', 'ignore', reader] });
      stayAlive();
      say('holder', holder.pid, stream.readableLength);
    });
    const holder = Number((await app.says(/holder (\d+)/))[1]);
    atEndOf(t, () => process.kill(holder, 'SIGKILL'));
    const child = await snapshotChildOf(app);
    app.kill('SIGKILL');
    await app.ended();
    assert.ok(isRunning(child), 'the child works on');
    await waitFor('the child has ended itself', () => !isRunning(child));
  });
});

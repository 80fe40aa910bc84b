// Promises 11 to 14 of the design, about the forked child: it holds nothing of its parent's, is nobody's zombie, and
// how it ends is told as it was. What takes seconds by its nature is in reliability-watchdog.test.mjs.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { startApp } from './support/app.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { childrenOf, descriptorsOf, goneAfter, isRunning, outputOf, snapshotChildOf, waitFor } from './support/processes.mjs';

const withInput = { stdio: ['pipe', 'pipe', 'pipe'] };

test('the child holds /dev/null in every place but its output', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, fill }) => {
    const net = require('node:net');
    const fs = require('node:fs');
    // Of each kind one: listener, connection, file, pipe with a child process, watcher.
    const server = net.createServer().listen(0, '127.0.0.1');
    await require('node:events').once(server, 'listening');
    const connection = net.connect(server.address().port, '127.0.0.1');
    const file = fs.openSync('open file', 'w');
    const cat = require('node:child_process').spawn('cat');
    const watcher = fs.watch('.');
    const many = Array.from({ length: 700 }, () => fs.openSync('open file'));
    fill(50_000);
    const report = await promises.writeSnapshot('a');
    server.close();
    connection.destroy();
    watcher.close();
    cat.stdin.end();
    return report && [file, ...many].length;
  }, { cwd: directory.path });
  const child = await snapshotChildOf(app);
  // The output is the only one that is not /dev/null.
  const targets = [...descriptorsOf(child.pid).values()];
  assert.ok(targets.length > 700, `${targets.length} descriptors`);
  assert.deepEqual([...new Set(targets)].sort(), ['/dev/null', `${outputOf(child, directory)} (deleted)`].sort());
  await app.result();
  await validateSnapshot(directory.at('a'));
});

test('a reader of the parent’s stdout and stderr sees their end when the parent exits, while the child works', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, fill }) => {
    fill(80_000);
    heapdump.writeSnapshot('a');
    await require('node:events').once(process.stdin, 'data');
    process.exit(0);
  }, { cwd: directory.path, spawn: withInput });
  const child = await snapshotChildOf(app);
  app.writeInput('exit');
  await app.ended();
  assert.ok(isRunning(child), 'the child works on');
  await goneAfter(child);
  await validateSnapshot(directory.at('a'));
});

test('a port can be bound again at once, and a client sees the end of its connection', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, fill, say, once }) => {
    fill(80_000);
    const server = require('node:net').createServer((connection) => {
      connection.write('hello');
      connection.on('data', () => connection.end());
    });
    server.listen(0, '127.0.0.1', () => say('port', server.address().port));
    await once(server, 'connection');
    heapdump.writeSnapshot('a');
    await require('node:events').once(process.stdin, 'data');
    server.close();
    process.stdin.destroy();
    say('closed');
  }, { cwd: directory.path, spawn: withInput });
  const port = Number((await app.says(/port (\d+)/))[1]);
  const client = net.connect(port, '127.0.0.1');
  await new Promise((resolve) => client.once('data', resolve));
  const child = await snapshotChildOf(app);
  const finished = new Promise((resolve) => client.once('end', resolve));
  client.write('end it');
  await finished;
  app.writeInput('close');
  await app.says(/closed/);
  const server = net.createServer().listen(port, '127.0.0.1');
  await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject));
  server.close();
  assert.ok(isRunning(child), 'the child works on');
  await app.ended();
  await validateSnapshot(directory.at('a'));
});

test('a port can be bound again at once when the parent is killed', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, fill, say }) => {
    fill(60_000);
    const server = require('node:net').createServer();
    server.listen(0, '127.0.0.1', () => {
      heapdump.writeSnapshot('a');
      say('port', server.address().port);
    });
  }, { cwd: directory.path });
  const port = Number((await app.says(/port (\d+)/))[1]);
  const child = await snapshotChildOf(app);
  app.kill('SIGKILL');
  await app.ended();
  const server = net.createServer().listen(port, '127.0.0.1');
  await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject));
  server.close();
  assert.ok(isRunning(child), 'the child works on');
  await goneAfter(child);
  await validateSnapshot(directory.at('a'));
});

test('a program that the parent started sees the end of its pipe while the child works', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, fill, say, once }) => {
    fill(80_000);
    const cat = require('node:child_process').spawn('cat');
    heapdump.writeSnapshot('a');
    await require('node:events').once(process.stdin, 'data');
    cat.stdin.end();
    await once(cat, 'close');
    say('cat has ended');
    process.stdin.destroy();
  }, { cwd: directory.path, spawn: withInput });
  const child = await snapshotChildOf(app);
  app.writeInput('end cat');
  await app.says(/cat has ended/);
  assert.ok(isRunning(child), 'the child works on');
  await app.ended();
});

test('never a zombie: ended, failed, aborted and killed children are reaped', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, fill, say }) => {
    fill(10_000);
    await promises.writeSnapshot('a');
    await promises.writeSnapshot('/dev/full').catch(() => {});
    await promises.writeSnapshot('b', { signal: AbortSignal.timeout(80) }).catch(() => {});
    await promises.writeSnapshot('c', { timeout: 80 }).catch(() => {});
    say('done');
    await require('node:events').once(process.stdin, 'data');
    process.stdin.destroy();
  }, { cwd: directory.path, spawn: withInput });
  await app.says(/done/);
  await waitFor('no child, no zombie', () => childrenOf(app.pid).length === 0);
  app.writeInput('end');
  assert.equal((await app.ended()).code, 0);
});

test('libuv’s own children and listeners for SIGCHLD are not disturbed', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, promises, fill }) => {
    fill(10_000);
    const { spawn, spawnSync, exec } = require('node:child_process');
    let heard = 0;
    process.on('SIGCHLD', () => heard++);
    const dumps = Promise.all(Array.from({ length: 4 }, (_, i) => promises.writeSnapshot(`${i}`)));
    const codes = [];
    while (codes.length < 40 || heapdump.getStatus().inProgress) {
      const code = codes.length % 7;
      codes.push(await new Promise((resolve) => spawn('sh', ['-c', `exit ${code}`]).once('exit', resolve)) === code);
      codes.push(spawnSync('sh', ['-c', `exit ${code}`]).status === code);
    }
    codes.push(await new Promise((resolve) => exec('echo out; kill -TERM $$', (error, out) => resolve(error.signal === 'SIGTERM' && out === 'out\n'))));
    return { all: codes.every(Boolean), modes: (await dumps).map(({ mode }) => mode), heard };
  }, { cwd: directory.path });
  const { all, modes, heard } = await app.result();
  assert.equal(all, true);
  assert.deepEqual(modes, Array(4).fill('fork'));
  assert.ok(heard >= 20);
});

test('where SIGCHLD is ignored the kernel reaps the child, and the file is still told of', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ promises }) => promises.writeSnapshot('a'), {
    cwd: directory.path, via: ['sh', '-c', 'trap "" CHLD; exec "$@"', 'sh'],
  });
  assert.equal((await app.result()).mode, 'fork');
  await validateSnapshot(directory.at('a'));
});

test('the child stands back: lowest priority for the memory killer, behind in the queue, one thread, no core', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ promises, fill }) => {
    fill(50_000);
    return promises.writeSnapshot('a');
  }, { cwd: directory.path });
  const { pid } = await snapshotChildOf(app);
  const read = (name) => fs.readFileSync(`/proc/${pid}/${name}`, 'utf8');
  assert.equal(Number(read('oom_score_adj')), 1000);
  assert.equal(Number(read('stat').split(') ')[1].split(' ')[16]), 10);
  assert.match(read('limits'), /Max core file size +0 +0/);
  assert.match(read('limits'), /Max data size +\d+ /);
  assert.match(read('status'), /Threads:\t1\n/);
  await app.result();
});

test('when the parent is killed the child finishes the file', async (t) => {
  for (const signal of ['SIGKILL', 'SIGTERM', 'SIGSEGV']) {
    const directory = makeTemporaryDirectory(t);
    const app = startApp(t, ({ heapdump, fill }) => {
      fill(50_000);
      heapdump.writeSnapshot('a');
    }, { cwd: directory.path });
    const child = await snapshotChildOf(app);
    app.kill(signal);
    await app.ended();
    assert.ok(isRunning(child), 'the child works on');
    await goneAfter(child);
    assert.deepEqual(directory.names(), ['a'], signal);
    await validateSnapshot(directory.at('a'));
  }
});

test('Ctrl-C ends the program and not the child: it is in no foreground group', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, fill }) => {
    fill(50_000);
    heapdump.writeSnapshot('a');
  }, { cwd: directory.path, spawn: { ...withInput, detached: true } });
  const child = await snapshotChildOf(app);
  process.kill(-app.pid, 'SIGINT');
  assert.equal((await app.ended()).signal, 'SIGINT');
  await goneAfter(child);
  await validateSnapshot(directory.at('a'));
});

test('a child killed from outside is an error, is not tried again, and nothing falls back', async (t) => {
  for (const signal of ['SIGKILL', 'SIGTERM']) {
    const directory = makeTemporaryDirectory(t);
    const app = startApp(t, ({ promises, fill, plain }) => {
      fill(50_000);
      return promises.writeSnapshot('a', { fallback: 'inline' }).catch(plain);
    }, { cwd: directory.path });
    const child = await snapshotChildOf(app);
    process.kill(child.pid, signal);
    const outcome = await app.result();
    assert.equal(outcome.code, 'ERR_HEAPDUMP_CHILD_KILLED', JSON.stringify(outcome));
    assert.match(outcome.message, /signal (9|15)/);
    assert.deepEqual(directory.names(), []);
  }
});

test('a child that crashes is tried again, and the third time it is an error', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const dump = ({ promises, fill, plain }) => {
    fill(400_000);
    return promises.writeSnapshot('a').catch(plain);
  };
  const crash = async (app, but) => {
    const child = await waitFor('another child', () => {
      const found = childrenOf(app.pid).find(({ name, pid, state }) => name === 'heapdump' && state !== 'Z' && !but.includes(pid));
      return found;
    });
    // Prepared: its handlers for crashes are in place once its score is set.
    await waitFor('it is prepared', () => fs.readFileSync(`/proc/${child.pid}/oom_score_adj`, 'utf8') === '1000\n');
    process.kill(child.pid, 'SIGSEGV');
    await goneAfter(child);
    but.push(child.pid);
  };

  // Plain children: the first crash of one with name buffers cut does not count (name-buffers.test.mjs).
  const env = { NODE_HEAPDUMP_OPTIONS: 'plain' };
  const once = startApp(t, dump, { cwd: directory.path, env });
  await crash(once, []);
  const report = await once.result();
  assert.deepEqual([report.mode, report.attempts], ['fork', 2]);
  assert.equal((await validateSnapshot(directory.at('a'))).bytes, report.bytes);
  fs.rmSync(directory.at('a'));

  const thrice = startApp(t, dump, { cwd: directory.path, env });
  const seen = [];
  for (let i = 0; i < 3; i++) await crash(thrice, seen);
  const error = await thrice.result();
  assert.equal(error.code, 'ERR_HEAPDUMP_CHILD_CRASHED', JSON.stringify(error));
  assert.match(error.message, /signal 11, 3 times/);
  assert.deepEqual(directory.names(), []);
});

test('the parent’s own V8 goes on as before: no pages stay inheritable that were not', async (t) => {
  const app = startApp(t, async ({ promises, fill }) => {
    fill(20_000);
    const marked = () => (require('node:fs').readFileSync('/proc/self/smaps', 'utf8').match(/^VmFlags:.* dc( |$)/gm) ?? []).length;
    const before = marked();
    for (let i = 0; i < 3; i++) await promises.writeSnapshot('/dev/null');
    return { before, after: marked() };
  });
  const { before, after } = await app.result();
  assert.ok(before > 10 && after > before / 2, `${before} mappings were not to be inherited, now ${after}`);
});

test('dumps one after the other leave no thread and no descriptor behind', async (t) => {
  const app = startApp(t, async ({ heapdump, promises }) => {
    const fs = require('node:fs');
    const count = () => ({
      descriptors: fs.readdirSync('/proc/self/fd').length,
      threads: fs.readdirSync('/proc/self/task').length,
    });
    const settled = async () => {
      while (heapdump.getStatus().inProgress) await new Promise(setImmediate);
    };
    for (let i = 0; i < 2; i++) await promises.writeSnapshot('/dev/null');
    await settled();
    const before = count();
    for (let i = 0; i < 10; i++) await promises.writeSnapshot('/dev/null');
    await settled();
    // The last driving thread may be on its way out.
    for (let i = 0; i < 1000 && count().threads > before.threads; i++) await new Promise((resolve) => setTimeout(resolve, 1));
    return { before, after: count() };
  });
  const { before, after } = await app.result();
  assert.ok(after.descriptors <= before.descriptors, JSON.stringify({ before, after }));
  assert.ok(after.threads <= before.threads, JSON.stringify({ before, after }));
});

// What an application sees that changes require('heapdump') to require('heapdump-rs'): its files, the environment
// variable, the signal, threads and the end of the process.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { startApp } from './support/app.mjs';
import { isSnapshotName, makeTemporaryDirectory, modeOf } from './support/files.mjs';
import { goneAfter, snapshotChildOf, waitFor } from './support/processes.mjs';

const isWholeSnapshot = (file) => validateSnapshot(file).then(({ nodes }) => assert.ok(nodes > 10_000));
const wholeFiles = (directory, count) =>
  waitFor(`${count} files`, () => {
    const names = directory.names();
    return names.length >= count && names.every(isSnapshotName) && names;
  });

test('an existing file is replaced at once by the whole new one, never written in place', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const file = directory.at('a.heapsnapshot');
  for (const NODE_HEAPDUMP_OPTIONS of ['fork', 'nofork']) {
    fs.writeFileSync(file, 'the old file');
    const old = fs.openSync(file);
    const seen = new Set();
    const app = startApp(t, ({ promises, fill }) => {
      fill(30_000);
      return promises.writeSnapshot('a.heapsnapshot');
    }, { cwd: directory.path, env: { NODE_HEAPDUMP_OPTIONS } });
    const done = app.result();
    await waitFor('the new file', () => {
      const { ino, size } = fs.statSync(file);
      seen.add(`${ino} ${size}`);
      return ino !== fs.fstatSync(old).ino;
    });
    const { bytes } = await done;
    seen.add(`${fs.statSync(file).ino} ${fs.statSync(file).size}`);
    assert.equal(seen.size, 2, `sizes on the way: ${[...seen]}`);
    assert.equal(fs.statSync(file).size, bytes);
    // Who had it open keeps the old one.
    assert.equal(fs.readFileSync(old, 'utf8'), 'the old file');
    fs.closeSync(old);
    await isWholeSnapshot(file);
  }
  assert.deepEqual(directory.names(), ['a.heapsnapshot']);
});

test('files are 0600 whatever the umask, from the first byte', async (t) => {
  const directory = makeTemporaryDirectory(t);
  for (const umask of [0, 0o022, 0o077, 0o777]) {
    const app = startApp(t, ({ promises, fill, args }) => {
      process.umask(args.umask);
      fill(20_000);
      return promises.writeSnapshot('a');
    }, { cwd: directory.path, args: { umask } });
    await snapshotChildOf(app);
    for (const name of directory.names()) assert.equal(modeOf(directory.at(name)), 0o600, `${name} under ${umask}`);
    await app.result();
    assert.equal(modeOf(directory.at('a')), 0o600, `${umask}`);
    fs.rmSync(directory.at('a'));
  }
});

test('a full device is an error with ENOSPC', async (t) => {
  for (const NODE_HEAPDUMP_OPTIONS of ['fork', 'nofork']) {
    const app = startApp(t, ({ heapdump, plain }) => new Promise((resolve) => {
      heapdump.writeSnapshot('/dev/full', (error) => resolve(plain(error)));
    }), { env: { NODE_HEAPDUMP_OPTIONS } });
    const { message, code, syscall, path } = await app.result();
    assert.deepEqual({ message, code, syscall, path }, {
      message: 'heapdump write error ENOSPC', code: 'ENOSPC', syscall: 'write', path: '/dev/full',
    });
  }
  assert.ok(fs.statSync('/dev/full').isCharacterDevice());
});

test('a device that takes everything takes a snapshot', async (t) => {
  const app = startApp(t, ({ promises }) => promises.writeSnapshot('/dev/null'));
  const { bytes, path } = await app.result();
  assert.ok(bytes > 1_000_000);
  assert.equal(path, '/dev/null');
  assert.ok(fs.statSync('/dev/null').isCharacterDevice());
});

test('NODE_HEAPDUMP_OPTIONS: what is unknown is said on stderr in its old words', async (t) => {
  const said = async (NODE_HEAPDUMP_OPTIONS) => {
    const app = startApp(t, ({ heapdump }) => typeof heapdump, { env: { NODE_HEAPDUMP_OPTIONS } });
    await app.result();
    return app.stderr;
  };
  const unrecognized = (...names) => names.map((name) => `node-heapdump: unrecognized option: ${name}\n`).join('');
  assert.equal(await said(''), '');
  assert.equal(await said('signal,nosignal,fork,nofork'), '');
  assert.equal(await said('bogus'), unrecognized('bogus'));
  assert.equal(await said('bogus , nosignal,,other'), unrecognized('bogus', 'other'));
  assert.equal(await said(' nosignal '), unrecognized(' nosignal '));
  assert.equal(await said('NOSIGNAL,signal=SIGKILL'), unrecognized('NOSIGNAL', 'signal=SIGKILL'));
});

test('NODE_HEAPDUMP_OPTIONS: later tokens win', async (t) => {
  const modeUnder = async (NODE_HEAPDUMP_OPTIONS) => {
    const app = startApp(t, ({ promises }) => promises.writeSnapshot('/dev/null'), { env: { NODE_HEAPDUMP_OPTIONS } });
    return (await app.result()).mode;
  };
  assert.equal(await modeUnder('nofork , fork'), 'fork');
  assert.equal(await modeUnder('fork,nofork'), 'inline');
});

test('with nosignal and no listener SIGUSR2 ends the process; after "nosignal,signal" it gives a file', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const start = (NODE_HEAPDUMP_OPTIONS) => startApp(t, ({ heapdump, say, stayAlive }) => {
    stayAlive();
    say('ready', typeof heapdump);
  }, { cwd: directory.path, env: { NODE_HEAPDUMP_OPTIONS } });

  const without = start('signal,nosignal');
  await without.says(/ready/);
  without.kill('SIGUSR2');
  assert.equal((await without.ended()).signal, 'SIGUSR2');
  assert.deepEqual(directory.names(), []);

  const withSignal = start('nosignal,signal');
  await withSignal.says(/ready/);
  withSignal.kill('SIGUSR2');
  const [name] = await wholeFiles(directory, 1);
  await isWholeSnapshot(directory.at(name));
});

test('with nosignal a JavaScript listener for SIGUSR2 is left alone', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, once, say, stayAlive }) => {
    const timer = stayAlive();
    const heard = once(process, 'SIGUSR2');
    say('ready', typeof heapdump);
    await heard;
    clearTimeout(timer);
    return 'heard';
  }, { cwd: directory.path, env: { NODE_HEAPDUMP_OPTIONS: 'nosignal' } });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  assert.equal(await app.result(), 'heard');
  assert.deepEqual(directory.names(), []);
});

test('the signal is watched natively: no JavaScript listener, and the process may end', async (t) => {
  const app = startApp(t, ({ heapdump }) => [typeof heapdump, process.listenerCount('SIGUSR2'), process.eventNames().includes('SIGUSR2')]);
  assert.deepEqual(await app.result(), ['object', 0, false]);
});

test('required only in a worker, it works there and the process ends well', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ worker, once }) => {
    const thread = worker(async ({ heapdump, args }) => {
      const { parentPort } = require('node:worker_threads');
      heapdump.writeSnapshot(args.name, (error, name) => parentPort.postMessage([error, name]));
    }, { name: 'from-a-worker' });
    return Promise.all([once(thread, 'message'), once(thread, 'exit')]);
  }, { cwd: directory.path });
  assert.deepEqual(await app.result(), [[null, 'from-a-worker'], 0]);
  await isWholeSnapshot(directory.at('from-a-worker'));
});

test('required in the main thread and in a worker, it works in both', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, worker, once }) => {
    const thread = worker(({ heapdump, args }) => {
      const { parentPort } = require('node:worker_threads');
      heapdump.writeSnapshot(args.name, (error, name) => parentPort.postMessage([error, name]));
    }, { name: 'worker' });
    const inMain = new Promise((resolve) => heapdump.writeSnapshot('main', (error, name) => resolve([error, name])));
    return [await inMain, await once(thread, 'message')];
  }, { cwd: directory.path });
  assert.deepEqual(await app.result(), [[null, 'main'], [null, 'worker']]);
  for (const name of ['main', 'worker']) await isWholeSnapshot(directory.at(name));
});

test('the event loop lives until the file is complete', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, fill }) => {
    fill(20_000);
    heapdump.writeSnapshot('a.heapsnapshot');
  }, { cwd: directory.path });
  const { code } = await app.ended();
  assert.equal(code, 0);
  assert.deepEqual(directory.names(), ['a.heapsnapshot']);
  await isWholeSnapshot(directory.at('a.heapsnapshot'));
});

test('the child is in a session of its own, and completes the file after process.exit()', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, fill, once }) => {
    fill(50_000);
    heapdump.writeSnapshot('a.heapsnapshot');
    process.stdin.resume();
    process.stdin.once('end', () => process.exit(7));
  }, { cwd: directory.path, spawn: { stdio: ['pipe', 'pipe', 'pipe'] } });
  const child = await snapshotChildOf(app);
  const session = fs.readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ')[3];
  assert.equal(Number(session), child.pid);
  app.closeInput();
  assert.equal((await app.ended()).code, 7);
  await goneAfter(child);
  assert.deepEqual(directory.names(), ['a.heapsnapshot']);
  await isWholeSnapshot(directory.at('a.heapsnapshot'));
});

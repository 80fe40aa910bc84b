// What an application sees that changes require('heapdump') to require('heapdump-rs'): arguments, callbacks, names,
// return values. Files and the environment are in drop-in-files.test.mjs.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { validateSnapshot } from '../harness/validate.mjs';
import { startApp } from './support/app.mjs';
import { isSnapshotName, makeTemporaryDirectory } from './support/files.mjs';
import { waitFor } from './support/processes.mjs';

const isWholeSnapshot = (file) => validateSnapshot(file).then(({ nodes }) => assert.ok(nodes > 10_000));

test("node-heapdump's test 1: a callback with a filename", async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, plain, say }) => {
    heapdump.writeSnapshot('foo-1.heapsnapshot', (error, name) => say('result', { value: { error: plain(error), name } }));
  }, { cwd: directory.path });
  assert.deepEqual(await app.result(), { error: null, name: 'foo-1.heapsnapshot' });
  assert.deepEqual(directory.names(), ['foo-1.heapsnapshot']);
  await isWholeSnapshot(directory.at('foo-1.heapsnapshot'));
});

test("node-heapdump's test 2: a callback alone", async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, plain, say }) => {
    heapdump.writeSnapshot((error, name) => say('result', { value: { error: plain(error), name } }));
  }, { cwd: directory.path });
  const { error, name } = await app.result();
  assert.equal(error, null);
  assert.deepEqual(directory.names(), [name]);
  assert.ok(isSnapshotName(name), name);
  await isWholeSnapshot(directory.at(name));
});

test("node-heapdump's test 3: SIGUSR2 gives exactly one file", async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, say, stayAlive }) => {
    stayAlive();
    say('ready', Object.keys(heapdump).length);
  }, { cwd: directory.path });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  const [name] = await waitFor('a file', () => directory.names().filter(isSnapshotName)[0] && directory.names());
  assert.deepEqual(directory.names(), [name]);
  await isWholeSnapshot(directory.at(name));
});

test("node-heapdump's test 4: a directory that does not exist is told before writeSnapshot returns", async (t) => {
  for (const NODE_HEAPDUMP_OPTIONS of ['fork', 'nofork']) {
    const app = startApp(t, ({ heapdump, plain }) => {
      let told;
      const returned = heapdump.writeSnapshot('/does/not/exist', (error) => (told = plain(error)));
      return { returned, told };
    }, { env: { NODE_HEAPDUMP_OPTIONS } });
    const { returned, told } = await app.result();
    assert.equal(returned, false);
    assert.match(told.message, /heapdump write error ENOENT/);
    assert.deepEqual({ ...told, message: '', name: '' }, {
      message: '', name: '', code: 'ENOENT', errno: -2, syscall: 'open', path: '/does/not/exist',
    });
  }
});

test('exports writeSnapshot of two arguments, and named additions', async (t) => {
  const app = startApp(t, ({ heapdump }) => [heapdump.writeSnapshot.length, ...Object.keys(heapdump)]);
  const [length, ...names] = await app.result();
  assert.equal(length, 2);
  for (const name of ['writeSnapshot', 'writeSnapshotSync', 'createSnapshotStream']) assert.ok(names.includes(name), name);
});

test('a function in the first place is the callback, and the second is ignored', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, once }) => {
    const emitter = new (require('node:events'))();
    const called = once(emitter, 'called');
    heapdump.writeSnapshot((error, name) => emitter.emit('called', { first: name }), () => emitter.emit('called', 'second'));
    return called;
  }, { cwd: directory.path });
  const { first } = await app.result();
  assert.deepEqual(directory.names(), [first]);
});

test('in fork mode the callback comes when the file is complete, after writeSnapshot has returned', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump }) => new Promise((resolve) => {
    const order = [];
    const returned = heapdump.writeSnapshot('a.heapsnapshot', (error, name, report) => {
      order.push(`called ${require('node:fs').statSync(name).size === report.bytes} ${report.mode}`);
      resolve(order);
    });
    order.push(`returned ${returned}`);
  }), { cwd: directory.path });
  assert.deepEqual(await app.result(), ['returned true', 'called true fork']);
});

test('with nofork the callback comes before writeSnapshot returns, and nothing is forked', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump }) => {
    const order = [];
    const returned = heapdump.writeSnapshot('a.heapsnapshot', (error, name, report) => {
      order.push(`called ${require('node:fs').statSync(name).size === report.bytes} ${report.mode} ${report.attempts}`);
    });
    order.push(`returned ${returned}`);
    return order;
  }, { cwd: directory.path, env: { NODE_HEAPDUMP_OPTIONS: 'nofork' } });
  assert.deepEqual(await app.result(), ['called true inline 0', 'returned true']);
  await isWholeSnapshot(directory.at('a.heapsnapshot'));
});

test('without a callback it returns true, and false when the target cannot be opened', async (t) => {
  const directory = makeTemporaryDirectory(t);
  for (const NODE_HEAPDUMP_OPTIONS of ['fork', 'nofork']) {
    const app = startApp(t, ({ heapdump }) => [
      heapdump.writeSnapshot('a.heapsnapshot'),
      heapdump.writeSnapshot('no/such/directory'),
    ], { cwd: directory.path, env: { NODE_HEAPDUMP_OPTIONS } });
    assert.deepEqual(await app.result(), [true, false]);
    await isWholeSnapshot(directory.at('a.heapsnapshot'));
    fs.rmSync(directory.at('a.heapsnapshot'));
  }
});

test('while one dump runs further callbacks wait and none is lost', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump }) => {
    const names = ['a', 'b', 'c', 'd'];
    return Promise.all(names.map((name) => new Promise((resolve) => {
      heapdump.writeSnapshot(name, (error, written) => resolve([error, written]));
    })));
  }, { cwd: directory.path });
  assert.deepEqual(await app.result(), ['a', 'b', 'c', 'd'].map((name) => [null, name]));
  for (const name of directory.names()) await isWholeSnapshot(directory.at(name));
});

test('only primitive strings, Buffers and file: URLs are names; anything else gives the default name', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump }) => {
    const others = [undefined, null, 42, true, Symbol('x'), new String('wrapped'), ['array'], new Date(0)];
    const names = [];
    for (const other of others) {
      names.push(await new Promise((resolve) => heapdump.writeSnapshot(other, (error, name) => resolve(name ?? error.message))));
    }
    return names;
  }, { cwd: directory.path, env: { NODE_HEAPDUMP_OPTIONS: 'nofork' } });
  const names = await app.result();
  for (const name of names) assert.ok(isSnapshotName(name), name);
  assert.deepEqual([...names].sort(), directory.names());
});

test('a Buffer is a name byte by byte, and is handed back as it was passed', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const bytes = [0xff, 0xfe, 0x80, 0x20, 0x0a, 0xc3];
  const app = startApp(t, ({ heapdump, args }) => new Promise((resolve) => {
    const name = Buffer.from(args.bytes);
    heapdump.writeSnapshot(name, (error, written, report) => {
      resolve({ error, same: written === name, path: report.path.toString('hex') });
    });
  }), { cwd: directory.path, args: { bytes } });
  const { error, same, path: hex } = await app.result();
  assert.deepEqual({ error, same }, { error: null, same: true });
  const [found] = fs.readdirSync(directory.path, 'buffer');
  assert.deepEqual([...found], bytes);
  assert.equal(hex, Buffer.concat([Buffer.from(`${fs.realpathSync(directory.path)}/`), found]).toString('hex'));
});

test('a file: URL is a name, percent escapes included', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const url = pathToFileURL(directory.at('ü und %41.heapsnapshot')).href;
  const app = startApp(t, ({ heapdump, args }) => new Promise((resolve) => {
    heapdump.writeSnapshot(new URL(args.url), (error, name) => resolve({ error, name }));
  }), { args: { url } });
  assert.deepEqual(await app.result(), { error: null, name: directory.at('ü und %41.heapsnapshot') });
  assert.deepEqual(directory.names(), ['ü und %41.heapsnapshot']);
});

test('a URL that is no file: is refused and nothing is written', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, plain }) => {
    let told;
    const returned = heapdump.writeSnapshot(new URL('http://127.0.0.1/a'), (error) => (told = plain(error)));
    return { returned, told };
  }, { cwd: directory.path });
  const { returned, told } = await app.result();
  assert.equal(returned, false);
  assert.equal(told.code, 'ERR_INVALID_URL_SCHEME');
  assert.deepEqual(directory.names(), []);
});

test('the default name is of the monotonic clock, relative to the current directory, and handed back relative', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump }) => new Promise((resolve) => {
    const before = process.hrtime.bigint();
    heapdump.writeSnapshot((error, name, report) => resolve({ before: `${before}`, name, path: report.path }));
  }), { cwd: directory.path });
  const { before, name, path: full } = await app.result();
  assert.ok(isSnapshotName(name), name);
  assert.equal(full, path.join(fs.realpathSync(directory.path), name));
  const [, milliseconds, rest] = /-(\d+)\.(\d+)\./.exec(name);
  const stamp = BigInt(milliseconds) * 1_000_000n + BigInt(rest);
  assert.ok(stamp >= BigInt(before) && stamp < process.hrtime.bigint(), `${stamp} is not in ${before}..now`);
});

test("'', a directory and a name of 300 characters are refused as the system does", async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('sub'));
  for (const NODE_HEAPDUMP_OPTIONS of ['fork', 'nofork']) {
    const app = startApp(t, ({ heapdump }) => ['', 'sub', 'sub/', 'new/', 'x'.repeat(300)].map((name) => {
      let told;
      const returned = heapdump.writeSnapshot(name, (error) => (told = error.message));
      return [returned, told];
    }), { cwd: directory.path, env: { NODE_HEAPDUMP_OPTIONS } });
    const [empty, existing, slash, newSlash, long] = await app.result();
    assert.deepEqual(empty, [false, 'heapdump write error ENOENT']);
    assert.deepEqual(existing, [false, 'heapdump write error EISDIR']);
    assert.deepEqual(slash, [false, 'heapdump write error EISDIR']);
    assert.deepEqual(newSlash, [false, 'heapdump write error EISDIR']);
    assert.deepEqual(long, [false, 'heapdump write error ENAMETOOLONG']);
  }
  assert.deepEqual(directory.names(), ['sub']);
});

test('a name as long as the file system allows is written', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ promises }) => promises.writeSnapshot('y'.repeat(255)), { cwd: directory.path });
  await app.result();
  assert.deepEqual(directory.names(), ['y'.repeat(255)]);
});

test('a NUL in a name is a clear error, and nothing is written', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, plain }) => ['a\0b', Buffer.from('a\0b')].map((name) => {
    let told;
    const returned = heapdump.writeSnapshot(name, (error) => (told = plain(error)));
    return { returned, told };
  }), { cwd: directory.path });
  for (const { returned, told } of await app.result()) {
    assert.equal(returned, false);
    assert.equal(told.code, 'ERR_INVALID_ARG_VALUE');
    assert.match(told.message, /null byte/);
    // The caller's wording: a name is an argument.
    assert.match(told.message, /filename/);
  }
  assert.deepEqual(directory.names(), []);
});

test('a callback that is truthy and no function is a TypeError before anything is written', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, plain }) => [42, 'text', true, Symbol.iterator].map((callback) => {
    try {
      return heapdump.writeSnapshot('a', callback);
    } catch (error) {
      return plain(error);
    }
  }), { cwd: directory.path });
  for (const error of await app.result()) {
    assert.equal(error.name, 'TypeError');
    assert.equal(error.message, 'cb is not a function');
  }
  assert.deepEqual(directory.names(), []);
});

test('falsy callbacks are none', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump }) =>
    [undefined, null, 0, false, ''].map((callback, i) => heapdump.writeSnapshot(`a${i}`, callback)),
  { cwd: directory.path, env: { NODE_HEAPDUMP_OPTIONS: 'nofork' } });
  assert.deepEqual(await app.result(), [true, true, true, true, true]);
  assert.equal(directory.names().length, 5);
});

test('a throw in the callback is an uncaught exception, once', async (t) => {
  const directory = makeTemporaryDirectory(t);
  for (const [NODE_HEAPDUMP_OPTIONS, name] of [['fork', 'a'], ['nofork', 'b'], ['fork', 'no/such/directory']]) {
    const app = startApp(t, ({ heapdump, say, args }) => {
      process.on('uncaughtException', (error, origin) => say('uncaught', error.message, origin));
      heapdump.writeSnapshot(args.name, () => {
        throw new Error('thrown in the callback');
      });
    }, { cwd: directory.path, env: { NODE_HEAPDUMP_OPTIONS }, args: { name } });
    const { code, stdout } = await app.ended();
    assert.deepEqual([code, stdout], [0, 'uncaught thrown in the callback uncaughtException\n'], NODE_HEAPDUMP_OPTIONS);
  }
});

test('a throw in the callback ends a process that does not expect it', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump }) => {
    heapdump.writeSnapshot('a', () => {
      throw new Error('thrown in the callback');
    });
  }, { cwd: directory.path });
  const { code, stderr } = await app.ended();
  assert.notEqual(code, 0);
  assert.match(stderr, /thrown in the callback/);
  await isWholeSnapshot(directory.at('a'));
});

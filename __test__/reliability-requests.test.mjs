// Promises 8 to 10 of the design, about requests: single flight, nothing lost, the caller's context, exits.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import limits from '../harness/limits.cjs';
import { validateSnapshot } from '../harness/validate.mjs';
import { startApp } from './support/app.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { childrenOf, goneAfter, snapshotChildOf, waitFor } from './support/processes.mjs';

/** Waits until what a process left behind is complete. */
const completed = (directory, names) =>
  waitFor(`${names} in ${directory.path}`, () => directory.names().join() === names.join());

test('single flight: never two children of a process at once, in the order of the calls', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, worker, once }) => {
    const order = [];
    const thread = worker(async ({ promises }) => {
      await Promise.all([1, 2, 3].map((i) => promises.writeSnapshot(`worker-${i}`)));
    });
    const threadEnded = once(thread, 'exit');
    await Promise.all(Array.from({ length: 8 }, (_, i) => promises.writeSnapshot(`main-${i}`).then(() => order.push(i))));
    await threadEnded;
    return order;
  }, { cwd: directory.path });
  let most = 0;
  const done = app.result();
  await waitFor('all are done', () => {
    most = Math.max(most, childrenOf(app.pid).length);
    return app.hasEnded;
  });
  assert.deepEqual(await done, [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.equal(most, 1);
  assert.equal(directory.names().length, 11);
});

test('many requests at once: each gets its answer, and the event loop goes on', async (t) => {
  const app = startApp(t, async ({ promises }) => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const reports = await Promise.all(Array.from({ length: 15 }, () => promises.writeSnapshot('/dev/null')));
    clearInterval(timer);
    return { modes: [...new Set(reports.map(({ mode }) => mode))], count: reports.length, turns };
  });
  const { modes, count, turns } = await app.result();
  assert.deepEqual([modes, count], [['fork'], 15]);
  assert.ok(turns > 15, `${turns} turns`);
});

test('AsyncLocalStorage reaches the callback, in every mode and for every request', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, promises, fill }) => {
    fill(10_000);
    const { AsyncLocalStorage } = require('node:async_hooks');
    const storage = new AsyncLocalStorage();
    const stores = {};
    const ask = (key, ...args) => storage.run(key, () => new Promise((resolve) => {
      heapdump.writeSnapshot(...args, () => {
        stores[key] = storage.getStore();
        resolve();
      });
    }));
    await Promise.all([
      ask('fork', 'a'), ask('second', 'b'), ask('inline', 'c', { mode: 'inline' }), ask('failed', 'no/such/directory'),
      storage.run('promise', async () => {
        await promises.writeSnapshot('d');
        stores.promise = storage.getStore();
      }),
      storage.run('progress', () => promises.writeSnapshot('e', { onProgress: () => (stores.progress = storage.getStore()) })),
    ]);
    return stores;
  }, { cwd: directory.path });
  const stores = await app.result();
  for (const [key, store] of Object.entries(stores)) assert.equal(store, key);
  assert.ok(Object.keys(stores).length >= 6, Object.keys(stores).join());
});

test('process.exit() right after a call still ends in a whole file', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump }) => {
    heapdump.writeSnapshot('a');
    process.exit(4);
  }, { cwd: directory.path });
  assert.equal((await app.ended()).code, 4);
  await completed(directory, ['a']);
  await validateSnapshot(directory.at('a'));
});

test('process.exit() after several calls: each ends in a whole file', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const app = startApp(t, ({ heapdump, args }) => {
    for (const name of args.names) heapdump.writeSnapshot(name);
    process.exit(4);
  }, { cwd: directory.path, args: { names } });
  assert.equal((await app.ended()).code, 4);
  await completed(directory, names);
  for (const name of names) await validateSnapshot(directory.at(name));
});

test("a call in the 'exit' event still ends in a whole file", async (t) => {
  const directory = makeTemporaryDirectory(t);
  for (const leave of ['return', 'exit']) {
    const app = startApp(t, ({ heapdump, args }) => {
      process.on('exit', () => heapdump.writeSnapshot(args.leave));
      if (args.leave === 'exit') process.exit(6);
    }, { cwd: directory.path, args: { leave } });
    assert.equal((await app.ended()).code, leave === 'exit' ? 6 : 0);
    await waitFor('the file', () => directory.names().includes(leave));
    await validateSnapshot(directory.at(leave));
  }
  assert.deepEqual(directory.names(), ['exit', 'return']);
});

test("a call in the 'exit' event is not overtaken by the thread that it starts", async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump }) => {
    const { Heap } = require('../../lib/native.js').addon;
    const { write } = Heap.prototype;
    // The JavaScript thread stands still as soon as it has asked, as on a busy machine.
    Heap.prototype.write = function (...args) {
      const started = write.apply(this, args);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
      return started;
    };
    process.on('exit', () => heapdump.writeSnapshot('late'));
  }, { cwd: directory.path });
  assert.equal((await app.ended()).code, 0);
  await completed(directory, ['late']);
  await validateSnapshot(directory.at('late'));
});

test("a listener for 'exit' that was there before the package is not overtaken", async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, (tools) => {
    let load;
    process.on('exit', () => {
      globalThis.lastWords = new (Function('return class LastWords {}')())();
      load.writeSnapshot('early');
    });
    load = tools.heapdump;
    process.on('exit', () => load.writeSnapshot('late'));
  }, { cwd: directory.path });
  assert.equal((await app.ended()).code, 0);
  await completed(directory, ['early', 'late']);
  const { stringTable } = await validateSnapshot(directory.at('early'), { strings: true });
  assert.ok(stringTable.includes('LastWords'));
  await validateSnapshot(directory.at('late'));
});

test('an uncaught exception right after a call still ends in a whole file', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump }) => {
    heapdump.writeSnapshot('a');
    throw new Error('on purpose');
  }, { cwd: directory.path });
  const { code, stderr } = await app.ended();
  assert.equal(code, 1);
  assert.match(stderr, /on purpose/);
  await completed(directory, ['a']);
  await validateSnapshot(directory.at('a'));
});

test('process.exit() with a stream half-way ends at once, and its child with it', async (t) => {
  const app = startApp(t, async ({ heapdump, fill, once }) => {
    fill(30_000);
    const stream = heapdump.createSnapshotStream();
    await once(stream, 'readable');
    stream.read();
    process.exit(2);
  });
  const child = await snapshotChildOf(app);
  assert.equal((await app.ended()).code, 2);
  await goneAfter(child);
});

test('the callback’s exception does not hold up the next request', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, say }) => {
    process.on('uncaughtException', (error) => say('uncaught', error.message));
    heapdump.writeSnapshot('a', () => {
      throw new Error('from a');
    });
    heapdump.writeSnapshot('b', (error, name) => say('called', name));
  }, { cwd: directory.path });
  const { code, stdout } = await app.ended();
  assert.deepEqual([code, stdout], [0, 'uncaught from a\ncalled b\n']);
  assert.deepEqual(directory.names(), ['a', 'b']);
});

test('a busy event loop is waited for, and interrupted: the child forks in the middle of a loop', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, args }) => {
    const fs = require('node:fs');
    heapdump.writeSnapshot('a');
    const end = Date.now() + args.limit;
    while (!fs.existsSync('a') && Date.now() < end);
    return fs.existsSync('a');
  }, { cwd: directory.path, args: { limit: limits.WAIT } });
  assert.equal(await app.result(), true);
  await validateSnapshot(directory.at('a'));
});

// A dump that its caller ends, limits or does not wait for: AbortSignal, timeout, busy.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { startApp } from './support/app.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { childrenOf, goneAfter, outputOf, signalChild, snapshotChildOf } from './support/processes.mjs';

test('an AbortSignal that has fired before: AbortError with its reason, nothing forked, nothing written', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, promises, plain }) => {
    const signal = AbortSignal.abort(new Error('the reason'));
    const told = [await promises.writeSnapshot('a', { signal }).catch(plain)];
    const returned = heapdump.writeSnapshot('b', { signal }, (error) => told.push(plain(error)));
    heapdump.createSnapshotStream({ signal }).on('error', (error) => told.push(plain(error)));
    await new Promise(setImmediate);
    return { told, returned, running: heapdump.getStatus().inProgress };
  }, { cwd: directory.path });
  const { told, returned, running } = await app.result();
  assert.equal(told.length, 3);
  for (const error of told) {
    assert.deepEqual([error.name, error.code, error.cause.message], ['AbortError', 'ABORT_ERR', 'the reason']);
  }
  assert.deepEqual([returned, running], [false, false]);
  assert.deepEqual(directory.names(), []);
});

test("a subscriber of 'start' that aborts: AbortError with its reason, nothing forked, nothing written", async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, promises, plain }) => {
    let controller;
    require('node:diagnostics_channel').subscribe('heapdump-rs:snapshot', ({ type }) => {
      if (type === 'start') controller.abort(new Error('the reason'));
    });
    const signal = () => (controller = new AbortController()).signal;
    const told = [await promises.writeSnapshot('a', { signal: signal() }).catch(plain)];
    const returned = heapdump.writeSnapshot('b', { signal: signal() }, (error) => told.push(plain(error)));
    const stream = heapdump.createSnapshotStream({ signal: signal() });
    told.push(await new Promise((resolve) => stream.on('error', (error) => resolve(plain(error)))));
    return { told, returned, running: heapdump.getStatus().inProgress };
  }, { cwd: directory.path });
  const { told, returned, running } = await app.result();
  assert.deepEqual(told.map(({ name, code, cause }) => [name, code, cause.message]), Array(3).fill(['AbortError', 'ABORT_ERR', 'the reason']));
  assert.deepEqual([returned, running], [false, false]);
  assert.deepEqual(directory.names(), []);
});

test('an AbortSignal that fires while the child works ends it and removes the temporary file', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, fill, plain, say, stayAlive }) => {
    fill(100_000);
    const controller = new AbortController();
    process.stdin.once('data', () => controller.abort(new Error('enough')));
    const timer = stayAlive();
    const told = await promises.writeSnapshot('a', { signal: controller.signal }).catch(plain);
    say('told', told);
    await require('node:events').once(process.stdin, 'data');
    clearTimeout(timer);
    process.stdin.destroy();
  }, { cwd: directory.path, spawn: { stdio: ['pipe', 'pipe', 'pipe'] } });
  const child = await snapshotChildOf(app);
  assert.ok(outputOf(child, directory), 'a file without a name');
  app.writeInput('abort');
  const told = JSON.parse((await app.says(/^told (.*)$/m))[1]);
  assert.deepEqual([told.name, told.code, told.cause.message], ['AbortError', 'ABORT_ERR', 'enough']);
  // Told means done: neither the child nor its file is left.
  assert.deepEqual(directory.names(), []);
  await goneAfter(child);
  assert.deepEqual(childrenOf(app.pid), []);
  app.writeInput('end');
  assert.equal((await app.ended()).code, 0);
});

test('an AbortSignal ends a request that still waits, and only that one', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, fill, plain }) => {
    fill(30_000);
    const controller = new AbortController();
    const order = [];
    const note = (name) => (outcome) => {
      order.push(name);
      return plain(outcome);
    };
    const dumps = ['a', 'b', 'c'].map((name) => {
      const signal = name === 'b' ? controller.signal : undefined;
      return promises.writeSnapshot(name, { signal }).then(note(name), note(name));
    });
    controller.abort();
    const outcomes = await Promise.all(dumps);
    return { order, codes: outcomes.map(({ code, mode }) => code ?? mode) };
  }, { cwd: directory.path });
  const { order, codes } = await app.result();
  assert.deepEqual(codes, ['fork', 'ABORT_ERR', 'fork']);
  assert.equal(order[0], 'b');
  assert.deepEqual(directory.names(), ['a', 'c']);
});

test('an AbortSignal that fires after the end changes nothing and keeps no listener', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises }) => {
    const { getEventListeners } = require('node:events');
    const controller = new AbortController();
    const report = await promises.writeSnapshot('a', { signal: controller.signal });
    const listeners = getEventListeners(controller.signal, 'abort').length;
    controller.abort();
    return { report, listeners };
  }, { cwd: directory.path });
  const { report, listeners } = await app.result();
  assert.equal(listeners, 0);
  assert.equal((await validateSnapshot(report.path)).nodes, report.nodes);
});

test('timeout: the child is ended, the temporary file removed, ERR_HEAPDUMP_TIMEOUT', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, fill, plain }) => {
    fill(150_000);
    const told = await promises.writeSnapshot('a', { timeout: 2000 }).catch(plain);
    return { told, names: require('node:fs').readdirSync('.') };
  }, { cwd: directory.path });
  const child = await snapshotChildOf(app);
  // However fast the machine is, it is not done by then; a stopped one counts as hung only after three seconds.
  signalChild(child, 'SIGSTOP');
  const { told, names } = await app.result();
  assert.equal(told.code, 'ERR_HEAPDUMP_TIMEOUT');
  assert.match(told.message, /2000 ms/);
  assert.deepEqual(names, []);
  await goneAfter(child);
});

test('timeout counts from the call, also for a request that waits', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, fill, plain }) => {
    fill(100_000);
    const order = [];
    const first = promises.writeSnapshot('a').then(() => order.push('first'));
    const told = await promises.writeSnapshot('b', { timeout: 100 }).catch(plain);
    order.push('timed out');
    await first;
    return { told, order };
  }, { cwd: directory.path });
  const { told, order } = await app.result();
  assert.equal(told.code, 'ERR_HEAPDUMP_TIMEOUT');
  assert.deepEqual(order, ['timed out', 'first']);
  assert.deepEqual(directory.names(), ['a']);
});

test('timeout counts too behind a thread that does not come round for its fork', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, plain, worker, once }) => {
    await promises.writeSnapshot('before');
    const back = new Int32Array(new SharedArrayBuffer(4));
    const thread = worker(async ({ promises, args }) => {
      await promises.writeSnapshot('/dev/null');
      const dump = promises.writeSnapshot('worker');
      require('node:worker_threads').parentPort.postMessage('asked');
      // No interrupt gets through, for longer than V8's workers are held.
      require('node:child_process').spawnSync('sleep', ['8']);
      Atomics.store(args.back, 0, 1);
      await dump;
    }, { back });
    await once(thread, 'message');
    const told = await promises.writeSnapshot('main', { timeout: 200 }).catch(plain);
    const wasBack = Atomics.load(back, 0);
    await once(thread, 'exit');
    return { code: told.code, wasBack };
  }, { cwd: directory.path });
  assert.deepEqual(await app.result(), { code: 'ERR_HEAPDUMP_TIMEOUT', wasBack: 0 });
  assert.deepEqual(directory.names(), ['before', 'worker']);
});

test("busy: 'reject' refuses at once while one runs or waits, 'queue' waits", async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, promises, plain }) => {
    const order = [];
    const note = (name) => (outcome) => (order.push(name), plain(outcome));
    const started = ['a', 'b'].map((name) => promises.writeSnapshot(name, { busy: 'queue' }).then(note(name), note(name)));
    let told;
    const returned = heapdump.writeSnapshot('c', { busy: 'reject' }, (error) => (told = plain(error)));
    const rejected = await promises.writeSnapshot('d', { busy: 'reject' }).catch(plain);
    order.push('rejected');
    await Promise.all(started);
    while (heapdump.getStatus().inProgress) await new Promise(setImmediate);
    const free = await promises.writeSnapshot('e', { busy: 'reject' });
    return { order, told, returned, rejected, free };
  }, { cwd: directory.path });
  const { order, told, returned, rejected, free } = await app.result();
  assert.deepEqual([told.code, rejected.code, returned], ['ERR_HEAPDUMP_BUSY', 'ERR_HEAPDUMP_BUSY', false]);
  assert.deepEqual(order, ['rejected', 'a', 'b']);
  assert.equal(free.mode, 'fork');
  assert.deepEqual(directory.names(), ['a', 'b', 'e']);
});

test("busy: 'reject' takes the next one as soon as the last has called back", async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises }) => {
    const modes = [];
    for (let i = 0; i < 5; i++) modes.push((await promises.writeSnapshot(`${i}`, { busy: 'reject' })).mode);
    return modes;
  }, { cwd: directory.path });
  assert.deepEqual(await app.result(), Array(5).fill('fork'));
});

test('a snapshot in process does not wait for a child that works', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, promises }) => {
    const forked = promises.writeSnapshot('a');
    const report = heapdump.writeSnapshotSync('b');
    return [report.mode, (await forked).mode];
  }, { cwd: directory.path });
  assert.deepEqual(await app.result(), ['inline', 'fork']);
  for (const name of directory.names()) await validateSnapshot(directory.at(name));
});

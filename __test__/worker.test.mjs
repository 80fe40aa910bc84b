// Worker threads: each dumps its own isolate; one that ends while its dump runs neither crashes nor hangs.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import limits from '../harness/limits.cjs';
import { validateSnapshot } from '../harness/validate.mjs';
import { isBeingWritten } from '../harness/writers.mjs';
import { startApp } from './support/app.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { childrenOf, goneAfter, snapshotChildOf, waitFor } from './support/processes.mjs';

async function classesIn(file) {
  const rows = [];
  const { header, stringTable } = await validateSnapshot(file, { strings: true, onNode: (row) => rows.push([row[0], row[1]]) });
  const object = header.meta.node_types[0].indexOf('object');
  return new Set(rows.filter(([type]) => type === object).map(([, name]) => stringTable[name]));
}

test('each thread dumps its own isolate', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, worker, once }) => {
    globalThis.kept = new (Function('return class MarkOfMain {}')())();
    const threads = [1, 2].map((i) => worker(async ({ promises, args }) => {
      globalThis.kept = new (Function(`return class MarkOfWorker${args.i} {}`)())();
      const { path } = await promises.writeSnapshot(`worker-${args.i}`);
      require('node:worker_threads').parentPort.postMessage(path);
    }, { i }));
    await promises.writeSnapshot('main');
    return Promise.all(threads.map((thread) => once(thread, 'message')));
  }, { cwd: directory.path });
  await app.result();
  const names = ['main', 'worker-1', 'worker-2'];
  assert.deepEqual(directory.names(), names);
  const [main, one, two] = await Promise.all(names.map((name) => classesIn(directory.at(name))));
  assert.deepEqual(['MarkOfMain', 'MarkOfWorker1', 'MarkOfWorker2'].map((mark) => [main, one, two].map((classes) => classes.has(mark))),
    [[true, false, false], [false, true, false], [false, false, true]]);
});

test('loaded in any order: main first, worker first, in two workers, in both and again', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const orders = ['mw', 'wm', 'ww', 'mww', 'wmw', 'wwm', 'wmwm'];
  for (const order of orders) {
    const app = startApp(t, async (tools) => {
      let written = 0;
      const dump = ({ promises, args }) => promises.writeSnapshot(args.name).then(({ mode }) => {
        require('node:worker_threads').parentPort?.postMessage(mode);
        return mode;
      });
      const modes = [];
      for (const where of tools.args.order) {
        const args = { name: `${tools.args.order}-${written++}` };
        modes.push(where === 'm' ? await dump({ promises: tools.promises, args }) : await tools.once(tools.worker(dump, args), 'message'));
      }
      return modes;
    }, { cwd: directory.path, args: { order } });
    assert.deepEqual(await app.result(), [...order].map(() => 'fork'), order);
  }
  assert.equal(directory.names().length, orders.join('').length);
  for (const name of directory.names()) await validateSnapshot(directory.at(name));
});

test('a worker dumps itself in process too', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ worker, once }) => {
    const thread = worker(({ heapdump }) => {
      require('node:worker_threads').parentPort.postMessage(heapdump.writeSnapshotSync('sync').mode);
    });
    return Promise.all([once(thread, 'message'), once(thread, 'exit')]);
  }, { cwd: directory.path });
  assert.deepEqual(await app.result(), ['inline', 0]);
  await validateSnapshot(directory.at('sync'));
});

test('a worker that is terminated while its child works: the file is completed, nothing crashes or hangs', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ worker, once }) => {
    const thread = worker(({ heapdump, fill, stayAlive }) => {
      fill(60_000);
      stayAlive();
      heapdump.writeSnapshot('from-a-worker');
      require('node:worker_threads').parentPort.postMessage('started');
    });
    await once(thread, 'message');
    await once(process.stdin, 'data');
    const code = await thread.terminate();
    process.stdin.destroy();
    return code;
  }, { cwd: directory.path, spawn: { stdio: ['pipe', 'pipe', 'pipe'] } });
  const child = await snapshotChildOf(app);
  app.writeInput('terminate it');
  assert.equal(await app.result(), 1);
  await goneAfter(child);
  assert.deepEqual(directory.names(), ['from-a-worker']);
  await validateSnapshot(directory.at('from-a-worker'));
});

test('a worker that is terminated right after its call, at any moment, neither crashes nor hangs', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, worker, once }) => {
    const codes = [];
    for (let i = 0; i < 12; i++) {
      const thread = worker(({ heapdump, args, stayAlive }) => {
        stayAlive();
        heapdump.writeSnapshot(`worker-${args.i}`);
        require('node:worker_threads').parentPort.postMessage('started');
      }, { i });
      await once(thread, 'message');
      for (let turn = 0; turn < i * i; turn++) await new Promise(setImmediate);
      codes.push(await thread.terminate());
    }
    // The queue is not stuck on a thread that has gone.
    await new Promise((resolve) => heapdump.writeSnapshot('main', resolve));
    return codes;
  }, { cwd: directory.path });
  assert.equal((await app.result()).length, 12);
  await waitFor('no child is left', () => childrenOf(app.pid).length === 0);
  const names = await waitFor('nobody writes any more', () => !isBeingWritten(directory.path) && directory.names());
  assert.ok(names.includes('main'));
  for (const name of names) await validateSnapshot(directory.at(name));
});

test('a worker that ends by itself right after its call still gets its file', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ worker, once }) => {
    const returning = worker(({ heapdump }) => {
      heapdump.writeSnapshot('returning');
    });
    const exiting = worker(({ heapdump }) => {
      heapdump.writeSnapshot('exiting');
      process.exit(5);
    });
    return Promise.all([once(returning, 'exit'), once(exiting, 'exit')]);
  }, { cwd: directory.path });
  assert.deepEqual(await app.result(), [0, 5]);
  const names = await waitFor('both files', () => directory.names().join() === 'exiting,returning' && directory.names());
  for (const name of names) await validateSnapshot(directory.at(name));
});

test('a dump of main goes on while workers come and go', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, worker, once, fill }) => {
    fill(20_000);
    let running = true;
    const churn = [1, 2].map(async () => {
      let threads = 0;
      while (running) {
        const thread = worker(({ heapdump }) => typeof heapdump);
        await once(thread, 'exit');
        threads++;
      }
      return threads;
    });
    const modes = [];
    for (let i = 0; i < 5; i++) modes.push((await promises.writeSnapshot(`main-${i}`)).mode);
    running = false;
    return { modes, threads: await Promise.all(churn) };
  }, { cwd: directory.path });
  const { modes, threads } = await app.result();
  assert.deepEqual(modes, Array(5).fill('fork'));
  assert.ok(threads.every((count) => count > 0));
  for (const name of directory.names()) await validateSnapshot(directory.at(name));
});

test('a worker stuck in a loop is dumped by a signal for workers', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, worker, once, say, stayAlive }) => {
    stayAlive();
    const thread = worker(({ heapdump }) => {
      require('node:worker_threads').parentPort.postMessage(typeof heapdump);
      while (true);
    });
    await once(thread, 'message');
    say('ready', typeof heapdump);
  }, { cwd: directory.path, env: { NODE_HEAPDUMP_OPTIONS: 'workers' } });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  const names = await waitFor('two files', () => {
    const found = directory.names();
    return found.length === 2 && found.every((name) => name.endsWith('.heapsnapshot')) && found;
  });
  for (const name of names) await validateSnapshot(directory.at(name));
});

test('a worker’s dump goes on while the main thread waits in Atomics.wait', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ worker, once, args }) => {
    const done = new Int32Array(new SharedArrayBuffer(4));
    const thread = worker(async ({ promises, args }) => {
      await promises.writeSnapshot('worker');
      Atomics.store(args.done, 0, 1);
      Atomics.notify(args.done, 0);
    }, { done });
    await once(thread, 'online');
    const waited = Atomics.wait(done, 0, 0, args.limit);
    return waited;
  }, { cwd: directory.path, args: { limit: limits.WAIT } });
  assert.match(await app.result(), /ok|not-equal/);
  await validateSnapshot(directory.at('worker'));
});

test('a stream of a worker arrives whole in it', async (t) => {
  const app = startApp(t, async ({ worker, once }) => once(worker(async ({ heapdump }) => {
    let bytes = 0;
    let report;
    const stream = heapdump.createSnapshotStream();
    stream.on('report', (value) => (report = value));
    for await (const chunk of stream) bytes += chunk.length;
    require('node:worker_threads').parentPort.postMessage([bytes, report.bytes, report.mode]);
  }), 'message'));
  const [bytes, reported, mode] = await app.result();
  assert.deepEqual([reported, mode], [bytes, 'fork']);
});

// What NODE_HEAPDUMP_OPTIONS adds for the dumps of a signal: dir=, gzip, zstd, workers, signal=, nofork.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { canReadZstd, validateSnapshot } from '../harness/validate.mjs';
import { startApp } from './support/app.mjs';
import { makeTemporaryDirectory, modeOf } from './support/files.mjs';
import { snapshotChild, waitFor } from './support/processes.mjs';

const DONE = /^heapdump-\d+\.\d+\.heapsnapshot(\.gz|\.zst)?$/;

const idle = ({ heapdump, say, stayAlive }) => {
  stayAlive();
  say('ready', typeof heapdump);
};

async function startIdle(t, cwd, NODE_HEAPDUMP_OPTIONS) {
  const app = startApp(t, idle, { cwd, env: { NODE_HEAPDUMP_OPTIONS } });
  await app.says(/ready/);
  return app;
}

const written = (app, directory, count, sub) =>
  waitFor(`${count} files`, () => {
    const names = directory.names(sub);
    return names.length >= count && names.every((name) => DONE.test(name)) && !snapshotChild(app.pid) && names;
  });

test('dir= says where they go, relative to the current directory of the moment or absolute', async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('a b'));
  for (const dir of ['a b', directory.at('a b')]) {
    const app = await startIdle(t, directory.path, `dir=${dir}`);
    app.kill('SIGUSR2');
    const [name, ...more] = await written(app, directory, 1, 'a b');
    assert.deepEqual([more, directory.names()], [[], ['a b']]);
    assert.equal(modeOf(directory.at('a b', name)), 0o600);
    await validateSnapshot(directory.at('a b', name));
    fs.rmSync(directory.at('a b', name));
  }
});

test('dir= that does not exist is a line when the signal comes', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = await startIdle(t, directory.path, `dir=${directory.at('missing')}`);
  app.kill('SIGUSR2');
  await app.says(/SIGUSR2: no heap snapshot: heapdump write error: open .*missing.*: No such file/, { on: 'stderr' });
  assert.deepEqual(directory.names(), []);
});

test('gzip and zstd compress them', async (t) => {
  for (const [option, extension] of [['gzip', '.gz'], ['zstd', '.zst']]) {
    const directory = makeTemporaryDirectory(t);
    const app = await startIdle(t, directory.path, option);
    app.kill('SIGUSR2');
    const [name] = await written(app, directory, 1);
    assert.ok(name.endsWith(extension), name);
    if (option === 'gzip' || canReadZstd()) await validateSnapshot(directory.at(name));
    else t.diagnostic('zstd was not decompressed: there is nothing here to do it with');
  }
});

test('gzip, zstd and dir= are for signals; writeSnapshot has options of its own', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ promises }) => promises.writeSnapshot('plain'), {
    cwd: directory.path, env: { NODE_HEAPDUMP_OPTIONS: 'gzip,dir=/does/not/exist' },
  });
  await app.result();
  assert.deepEqual(directory.names(), ['plain']);
  await validateSnapshot(directory.at('plain'));
});

test('signal=SIGUSR1 answers to that signal alone', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = await startIdle(t, directory.path, 'signal=SIGUSR1');
  app.kill('SIGUSR1');
  const [name] = await written(app, directory, 1);
  await validateSnapshot(directory.at(name));
  // Not the inspector's signal any more.
  assert.doesNotMatch(app.stderr, /Debugger listening/);
  app.kill('SIGUSR2');
  assert.equal((await app.ended()).signal, 'SIGUSR2');
});

test('signal=SIGHUP and signal=SIGQUIT answer to those', async (t) => {
  for (const signal of ['SIGHUP', 'SIGQUIT']) {
    const directory = makeTemporaryDirectory(t);
    const app = await startIdle(t, directory.path, `signal=${signal}`);
    app.kill(signal);
    const [name] = await written(app, directory, 1);
    await validateSnapshot(directory.at(name));
  }
});

test('nofork: the signal’s dump is taken in process', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, say, stayAlive }) => {
    stayAlive();
    require('node:diagnostics_channel').subscribe('heapdump-rs:snapshot', ({ type, report }) => {
      if (type === 'end') say('end', report.mode);
    });
    say('ready', typeof heapdump);
  }, { cwd: directory.path, env: { NODE_HEAPDUMP_OPTIONS: 'nofork' } });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  await app.says(/end inline/);
  const [name] = await written(app, directory, 1);
  await validateSnapshot(directory.at(name));
});

test('workers: one signal, one file for the main thread and each worker that loaded the package', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, worker, once, say, stayAlive }) => {
    stayAlive();
    globalThis.kept = new (class MarkOfMain {})();
    const load = ({ args, heapdump, stayAlive }) => {
      stayAlive();
      globalThis.kept = new (Function(`return class MarkOfWorker${args.i} {}`)())();
      require('node:worker_threads').parentPort.postMessage(typeof heapdump);
    };
    const idle = ({ stayAlive }) => {
      stayAlive();
      require('node:worker_threads').parentPort.postMessage('idle');
    };
    const workers = [worker(load, { i: 1 }), worker(load, { i: 2 }), worker(idle)];
    await Promise.all(workers.map((thread) => once(thread, 'message')));
    say('ready', typeof heapdump);
  }, { cwd: directory.path, env: { NODE_HEAPDUMP_OPTIONS: 'workers' } });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  const names = await written(app, directory, 3);
  const marks = await Promise.all(names.map((name) => marksIn(directory.at(name))));
  assert.deepEqual(marks.sort(), ['MarkOfMain', 'MarkOfWorker1', 'MarkOfWorker2']);
});

test('without workers one signal dumps the main thread alone, whoever loaded the package first', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async (tools) => {
    tools.stayAlive();
    globalThis.kept = new (class MarkOfMain {})();
    const thread = tools.worker(({ heapdump, stayAlive }) => {
      stayAlive();
      globalThis.kept = new (Function('return class MarkOfWorker {}')())();
      require('node:worker_threads').parentPort.postMessage(typeof heapdump);
    });
    await tools.once(thread, 'message');
    tools.say('ready', typeof tools.heapdump);
  }, { cwd: directory.path });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  const names = await written(app, directory, 1);
  assert.deepEqual(await Promise.all(names.map((name) => marksIn(directory.at(name)))), ['MarkOfMain']);
});

/** Names of objects that are called MarkOf…, joined. */
async function marksIn(file) {
  const titles = new Set();
  const rows = [];
  const { header, stringTable } = await validateSnapshot(file, { strings: true, onNode: (row) => rows.push([row[0], row[1]]) });
  const object = header.meta.node_types[0].indexOf('object');
  for (const [type, name] of rows) if (type === object && stringTable[name].startsWith('MarkOf')) titles.add(stringTable[name]);
  return [...titles].join();
}

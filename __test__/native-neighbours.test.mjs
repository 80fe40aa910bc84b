// Native code of others in the same process: handlers for the signal that were there before, and handlers for the exit,
// which are not the child's to run. A small library takes the part of another addon.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { startApp } from './support/app.mjs';
import { readSidecar } from './support/evidence.mjs';
import { isSnapshotName, makeTemporaryDirectory } from './support/files.mjs';
import { buildLibrary } from './support/library.mjs';
import { startLeak } from './support/limit.mjs';
import { snapshotChild, waitFor } from './support/processes.mjs';
import { nextRequest } from './support/signals.mjs';

/** A library that is loaded by process.dlopen, and the log of what it does; undefined without a compiler. */
function buildNeighbour(t) {
  const library = buildLibrary(t, 'native-handler');
  if (library === undefined) return undefined;
  const log = makeTemporaryDirectory(t).at('log');
  const read = () => (fs.existsSync(log) ? fs.readFileSync(log, 'utf8').split('\n').slice(0, -1) : []);
  return { library, read, env: { NATIVE_HANDLER_LOG: log } };
}

const idleBeside = (tools) => {
  try {
    process.dlopen({ exports: {} }, tools.args.library);
  } catch {
    // It is no addon, and stays loaded all the same (nodelete).
  }
  tools.stayAlive();
  tools.say('ready', typeof tools.heapdump);
};

test('a native handler for the signal that was there before is called for every signal, beside ours', async (t) => {
  const neighbour = buildNeighbour(t);
  if (neighbour === undefined) return;
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, idleBeside, { cwd: directory.path, env: neighbour.env, args: neighbour });
  await app.says(/ready/);
  for (const count of [1, 2]) {
    if (count > 1) await nextRequest();
    app.kill('SIGUSR2');
    await waitFor('a snapshot', () => directory.names().filter(isSnapshotName).length === count && !snapshotChild(app.pid));
    assert.deepEqual(neighbour.read(), Array(count).fill('signal'));
  }
  for (const name of directory.names()) await validateSnapshot(directory.at(name));
});

test('with nosignal a native handler is left alone', async (t) => {
  const neighbour = buildNeighbour(t);
  if (neighbour === undefined) return;
  const directory = makeTemporaryDirectory(t);
  const env = { ...neighbour.env, NODE_HEAPDUMP_OPTIONS: 'nosignal' };
  const app = startApp(t, idleBeside, { cwd: directory.path, env, args: neighbour });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  await waitFor('the handler', () => neighbour.read().length > 0);
  assert.deepEqual([neighbour.read(), directory.names()], [['signal'], []]);
});

test('handlers for the exit run in the application, never in the child', async (t) => {
  const neighbour = buildNeighbour(t);
  if (neighbour === undefined) return;
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, args, plain }) => {
    try {
      process.dlopen({ exports: {} }, args.library);
    } catch {
      // As above.
    }
    // A child that ends well, one that fails, and one that is ended.
    const outcomes = [await promises.writeSnapshot('a'), await promises.writeSnapshot('/dev/full').catch(plain)];
    outcomes.push(await promises.writeSnapshot('b', { timeout: 60 }).catch(plain));
    return outcomes.map(({ mode, code }) => mode ?? code).slice(0, 2);
  }, { cwd: directory.path, env: neighbour.env, args: neighbour });
  assert.deepEqual(await app.result(), ['fork', 'ENOSPC']);
  assert.deepEqual(neighbour.read(), ['atexit']);
});

test('a lock of V8’s task queue that another thread holds at the fork hangs no child', async (t) => {
  const library = buildLibrary(t, 'queue-lock');
  if (library === undefined) return;
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, fill }) => {
    fill(20_000);
    return [await promises.writeSnapshot('a'), await promises.writeSnapshot('b')];
  }, { cwd: directory.path, env: { LD_PRELOAD: library } });
  for (const { mode, attempts, path } of await app.result()) {
    assert.deepEqual([mode, attempts], ['fork', 1]);
    await validateSnapshot(path);
  }
});

test('a lock of the isolate that V8 holds while it is asked for an interrupt hangs no child', async (t) => {
  const library = buildLibrary(t, 'slow-interrupt');
  if (library === undefined) return;
  const directory = makeTemporaryDirectory(t);
  const app = startLeak(t, directory, { order: 'oom', atLimit: 'exit' }, { env: { LD_PRELOAD: library } });
  const { code, stderr } = await app.ended();
  assert.equal(code, 1, stderr);
  assert.doesNotMatch(stderr, /forked with a lock/);
  assert.equal(readSidecar(directory.at('evidence.heapsnapshot.json')).report.attempts, 1);
  await validateSnapshot(directory.at('evidence.heapsnapshot'));
});

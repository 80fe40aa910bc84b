// Others that V8 asks when its heap is near the limit, registered before and after ours: ours is asked first all the same, and
// they are asked then. Every leak runs into a limit of 32 MB.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { makeTemporaryDirectory } from './support/files.mjs';
import { buildLibrary } from './support/library.mjs';
import { startLeak } from './support/limit.mjs';
import { validateSnapshot } from '../harness/validate.mjs';

const isOfNode = (name) => /^Heap\..*\.heapsnapshot$/.test(name);

const ASKED_AFTER_OURS = /Generating Heapdump to[^]*the neighbour is asked/;

for (const order of ['addon oom', 'oom addon']) {
  test(`another addon's callback is asked after ours: ${order}`, async (t) => {
    const library = buildLibrary(t, 'limit-callback');
    if (library === undefined) return;
    const directory = makeTemporaryDirectory(t);
    const { signal, stderr } = await startLeak(t, directory, { order, library, atLimit: 'wait' }).ended();
    assert.match(stderr, /JavaScript heap out of memory/);
    assert.equal(signal, 'SIGABRT');
    assert.match(stderr, ASKED_AFTER_OURS);
    await validateSnapshot(directory.at('evidence.heapsnapshot'));
  });

  test(`in a worker too, which ends alone: ${order}`, async (t) => {
    const library = buildLibrary(t, 'limit-callback');
    if (library === undefined) return;
    const directory = makeTemporaryDirectory(t);
    const env = { LIMIT_CALLBACK_LEAVES: '1' };
    const app = startLeak(t, directory, { order, library, atLimit: 'wait', inWorker: true }, { env });
    assert.equal(await app.result(), 'ERR_WORKER_OUT_OF_MEMORY');
    assert.match(app.stderr, ASKED_AFTER_OURS);
    assert.equal(app.stderr.match(/the neighbour is asked/g).length, 1);
    await validateSnapshot(directory.at('evidence.heapsnapshot'));
  });
}

test('another that collects garbage when it is asked, of a heap far beyond its limit: only the worker ends', async (t) => {
  const library = buildLibrary(t, 'limit-callback');
  if (library === undefined) return;
  const directory = makeTemporaryDirectory(t);
  const env = { LIMIT_CALLBACK_LEAVES: '1', LIMIT_CALLBACK_COLLECTS: '1' };
  // Each array takes more than Node.js allows beyond the limit.
  const args = { order: 'oom addon', library, atLimit: 'wait', inWorker: true, length: 8e6 };
  const app = startLeak(t, directory, args, { env });
  assert.equal(await app.result(), 'ERR_WORKER_OUT_OF_MEMORY');
  assert.match(app.stderr, ASKED_AFTER_OURS);
  await validateSnapshot(directory.at('evidence.heapsnapshot'));
});

test('exit: the others are asked before the process ends', async (t) => {
  const library = buildLibrary(t, 'limit-callback');
  if (library === undefined) return;
  const directory = makeTemporaryDirectory(t);
  const { code, stderr } = await startLeak(t, directory, { order: 'oom addon', library, atLimit: 'exit' }).ended();
  assert.equal(code, 1);
  assert.match(stderr, ASKED_AFTER_OURS);
  await validateSnapshot(directory.at('evidence.heapsnapshot'));
});

for (const [order, nodeOptions] of [['node oom', []], ['oom node', []], ['oom', ['--heapsnapshot-near-heap-limit=1']]]) {
  test(`Node's own snapshot at the limit comes after ours: ${[order, ...nodeOptions].join(' ')}`, async (t) => {
    const directory = makeTemporaryDirectory(t);
    const app = startLeak(t, directory, { order, atLimit: 'exit' }, { nodeOptions });
    const { code, stderr } = await app.ended();
    assert.match(stderr, /Generating Heapdump to[^]*Wrote snapshot to/);
    assert.equal(code, 1);
    const names = directory.names();
    assert.deepEqual(names.filter((name) => !isOfNode(name)), ['evidence.heapsnapshot', 'evidence.heapsnapshot.json']);
    await validateSnapshot(directory.at('evidence.heapsnapshot'));
    await validateSnapshot(directory.at(names.find(isOfNode)));
  });
}

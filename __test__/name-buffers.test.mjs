// The forked child's name buffers cut to size: how much memory that saves, that the file is the same, and what switches
// it off. "Plain" is a child that takes the snapshot with V8 as it is.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { NODE_MAJOR, startApp } from './support/app.mjs';
import { isSnapshotName, makeTemporaryDirectory } from './support/files.mjs';
import { bytesWrittenBy, signalChild, snapshotChild, snapshotChildOf, waitFor } from './support/processes.mjs';
import { nextRequest } from './support/signals.mjs';

const PLAIN = { NODE_HEAPDUMP_OPTIONS: 'plain' };

/** Where it is built: elsewhere every child is plain. */
const CUT = process.platform === 'linux' && process.arch === 'x64' && process.report.getReport().header.glibcVersionRuntime !== undefined;

/** Of the plain child's private memory. Measured: 0.24 to 0.31. */
const MOST = 0.35;

/** V8 formats the name of each element, and a plain child keeps a kilobyte for it. */
const OBJECTS = 300_000;
const FEWER = 150_000;
const wasPlain = (report, objects) => report.childPrivateMemory > 1024 * objects;

const dumpArray = async ({ promises, args }) => {
  globalThis.kept = Array.from({ length: args.objects }, (_, i) => ({ i }));
  return promises.writeSnapshot('array.heapsnapshot', { mode: 'fork' });
};

/** The report of a dump of an array by a program with `env`. */
async function reportOf(t, env) {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, dumpArray, { cwd: directory.path, env, args: { objects: OBJECTS } });
  const report = await app.result();
  const { nodes } = await validateSnapshot(report.path);
  assert.ok(nodes > OBJECTS);
  assert.equal(report.attempts, 1);
  assert.equal(app.stderr, '');
  return report;
}

test(`an array of ${OBJECTS} objects takes a third of the memory; \`plain\` switches it off`, async (t) => {
  const plain = await reportOf(t, PLAIN);
  const cut = await reportOf(t, {});
  const ratio = cut.childPrivateMemory / plain.childPrivateMemory;
  t.diagnostic(`private memory ${cut.childPrivateMemory >> 20} of ${plain.childPrivateMemory >> 20} MB: ${ratio.toFixed(2)}`);
  assert.ok(wasPlain(plain, OBJECTS));
  if (CUT) assert.ok(ratio <= MOST, `${ratio}`);
  else assert.ok(wasPlain(cut, OBJECTS));
});

test('`plain` holds for dumps of the signal too', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, say, stayAlive, args }) => {
    globalThis.kept = Array.from({ length: args.objects }, (_, i) => ({ i }));
    say('ready', typeof heapdump);
    stayAlive();
  }, { cwd: directory.path, env: { ...PLAIN, NODE_DEBUG: 'heapdump' }, args: { objects: FEWER } });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  const [, report] = await app.says(/SIGUSR2: (\{.*\})/, { on: 'stderr' });
  assert.ok(wasPlain(JSON.parse(report), FEWER), report);
});

test('a child that crashes is tried again plain, and the process stays with that', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, say, args }) => {
    globalThis.kept = Array.from({ length: args.objects }, (_, i) => ({ i }));
    const onProgress = ({ stage }) => {
      if (stage === 'recording') say('recording');
    };
    const crashed = await promises.writeSnapshot('crashed.heapsnapshot', { mode: 'fork', onProgress });
    const next = await promises.writeSnapshot('next.heapsnapshot', { mode: 'fork' });
    return { crashed, next };
  }, { cwd: directory.path, args: { objects: FEWER } });
  // By then the child has done all that differs from a plain one.
  await app.says(/recording/);
  signalChild(await snapshotChildOf(app), 'SIGSEGV');
  const { crashed, next } = await app.result();
  assert.deepEqual([crashed.attempts, next.attempts], [2, 1]);
  for (const report of [crashed, next]) {
    assert.ok(wasPlain(report, FEWER), `${report.childPrivateMemory}`);
    await validateSnapshot(report.path);
  }
  assert.deepEqual(directory.names(), ['crashed.heapsnapshot', 'next.heapsnapshot']);
});

test('its crash is not one of those after which a dump fails', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ promises, say, plain, args }) => {
    globalThis.kept = Array.from({ length: args.objects }, (_, i) => ({ i }));
    const onProgress = ({ stage }) => {
      if (stage === 'recording') say('recording');
    };
    return promises.writeSnapshot('never.heapsnapshot', { mode: 'fork', onProgress }).then(() => 'written', plain);
  }, { cwd: directory.path, args: { objects: FEWER } });
  const children = CUT ? 4 : 3;
  const reports = () => app.stdout.split('recording').length;
  for (let child = 1; child <= children; child++) {
    const running = await snapshotChildOf(app);
    const before = reports();
    await waitFor('a report of this child', () => reports() > before);
    signalChild(running, 'SIGSEGV');
    await waitFor('the next child', () => snapshotChild(app.pid)?.pid !== running.pid);
  }
  const error = await app.result();
  assert.equal(error.code, 'ERR_HEAPDUMP_CHILD_CRASHED');
  assert.match(error.message, new RegExp(`\\b${children}\\b`));
  assert.deepEqual(directory.names(), []);
});

test('the file is the same as a plain child’s', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const stop = directory.at('stop');
  // JavaScript stands still inside one call (where V8 still answers interrupts), so that the heap is the same at both
  // forks. A worker ends that.
  const app = startApp(t, async ({ heapdump, say, once, worker, fill, stayAlive, args }) => {
    globalThis.kept = Array.from({ length: args.objects }, (_, i) => ({ i, s: `s${i % 1000}` }));
    globalThis.sparse = { 7: 1, 4_000_000: {}, [Symbol('a')]: [[], [[]]] };
    globalThis.long = { ['x'.repeat(1500)]: {}, ['y'.repeat(1023)]: {}, view: new Uint8Array(1024) };
    fill(5000);
    const flag = new Int32Array(new SharedArrayBuffer(4));
    const waiting = worker(({ args: { flag, stop } }) => {
      const timer = setInterval(() => {
        if (!require('node:fs').existsSync(stop)) return;
        clearInterval(timer);
        Atomics.store(flag, 0, 1);
        Atomics.notify(flag, 0);
      }, 20);
    }, { flag, stop: args.stop });
    await once(waiting, 'online');
    say('idle', typeof heapdump);
    Atomics.wait(flag, 0, 0);
    stayAlive();
  }, { cwd: directory.path, env: { NODE_DEBUG: 'heapdump' }, args: { objects: FEWER, stop } });
  await app.says(/idle/);

  const whole = (count) => waitFor(`${count} files`, () => {
    const names = directory.names();
    return names.length === count && names.every(isSnapshotName) && !snapshotChild(app.pid) && names;
  });
  app.kill('SIGUSR2');
  const [first] = await whole(1);
  await nextRequest();
  app.kill('SIGUSR2');
  // The second dump's first child crashes while it writes, and a plain one takes its place.
  const child = await snapshotChildOf(app);
  await waitFor('bytes of the second file', () => bytesWrittenBy(child, directory) > 0);
  signalChild(child, 'SIGSEGV');
  const second = (await whole(2)).find((name) => name !== first);
  fs.writeFileSync(stop, '');

  const reports = await waitFor('two reports', () => {
    const lines = [...app.stderr.matchAll(/SIGUSR2: (\{.*\})/g)].map(([, report]) => JSON.parse(report));
    return lines.length === 2 && lines;
  });
  assert.deepEqual(reports.map(({ attempts }) => attempts), [1, 2]);
  assert.ok(wasPlain(reports[0], FEWER) === !CUT && wasPlain(reports[1], FEWER));
  const [cut, plain] = [first, second].map((name) => fs.readFileSync(directory.at(name)));
  await validateSnapshot(directory.at(first));
  if (NODE_MAJOR >= 22) assert.ok(cut.equals(plain), differences(cut, plain));
  else assert.equal(differences(cut, plain, { ids: false }), '');
});


/** In which sections two snapshots differ, and how. Before Node 22 ids of native objects come of their addresses. */
function differences(...files) {
  const { ids = true } = typeof files.at(-1)?.ids === 'boolean' ? files.pop() : {};
  const [a, b] = files.map((file) => JSON.parse(file.toString()));
  const fields = a.snapshot.meta.node_fields;
  const id = fields.indexOf('id');
  const found = [];
  for (const section of Object.keys(a)) {
    if (!Array.isArray(a[section])) continue;
    const skip = (index) => !ids && section === 'nodes' && index % fields.length === id;
    const at = a[section].findIndex((value, index) => value !== b[section][index] && !skip(index));
    if (at >= 0) found.push(`${section}[${at}]: ${a[section][at]} and ${b[section][at]}`);
    if (a[section].length !== b[section].length) found.push(`${section}: ${a[section].length} and ${b[section].length}`);
  }
  return found.join('; ');
}

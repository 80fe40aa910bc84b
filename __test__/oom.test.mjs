// The snapshot at V8's heap limit, and node-oom-heapdump's API over it. Every leak runs into a limit of 32 MB.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { startApp } from './support/app.mjs';
import { makeControlGroup, mountTmpfs, needsRoot } from './support/faults.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { childrenOf, goneAfter, waitFor } from './support/processes.mjs';

const SMALL = ['--max-old-space-size=32'];

/** Leaks `args.shape` for ever; the options are node-oom-heapdump's. */
const leak = async ({ args }) => {
  require('../../lib/oom.js')(args.options);
  const kept = (globalThis.kept = []);
  const grow = {
    objects: () => kept.push({ a: kept.length }),
    strings: () => kept.push(`${kept.length}`.repeat(500).split('').join('')),
    arrays: () => kept.push(new Array(1000).fill(kept.length + 0.5)),
    closures: () => kept.push(((number) => () => number)(kept.length)),
  }[args.shape];
  for (;;) {
    for (let i = 0; i < 5000; i++) grow();
    if (!args.synchronous) await new Promise(setImmediate);
  }
};

function startLeak(t, directory, args, options) {
  return startApp(t, leak, { cwd: directory.path, nodeOptions: SMALL, args: { options: {}, ...args }, ...options });
}

/** A snapshot and what is said of it. */
const WHOLE = ['evidence.heapsnapshot', 'evidence.heapsnapshot.json'];

const snapshotsIn = (directory) => directory.names().filter((name) => name.endsWith('.heapsnapshot'));

const readRecord = (directory, name) => JSON.parse(fs.readFileSync(directory.at(`${name}.heapsnapshot.json`), 'utf8'));

for (const shape of ['objects', 'strings', 'arrays', 'closures']) {
  test(`a leak of ${shape} leaves a whole snapshot and status 1`, async (t) => {
    const directory = makeTemporaryDirectory(t);
    const app = startLeak(t, directory, { shape, options: { path: 'evidence' } });
    const { code, stderr } = await app.ended();
    assert.equal(code, 1);
    assert.match(stderr, /^Generating Heapdump to '.*evidence\.heapsnapshot' now\.\.\.$/m);
    assert.deepEqual(directory.names(), WHOLE);
    assert.ok((await validateSnapshot(directory.at('evidence.heapsnapshot'))).nodes > 10_000);
  });
}

test('a loop that never turns the event loop leaves one too', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startLeak(t, directory, { shape: 'objects', synchronous: true });
  assert.equal((await app.ended()).code, 1);
  const name = `OoM-pid-${app.pid}.heapsnapshot`;
  assert.deepEqual(directory.names(), [name, `${name}.json`]);
  await validateSnapshot(directory.at(name));
});

test('leaks beside V8 threads that compile leave whole snapshots', async (t) => {
  // Such a thread may wait for the very collection in which V8 asks.
  const apps = [1, 2, 3].map(() => {
    const directory = makeTemporaryDirectory(t);
    const app = startApp(t, async () => {
      require('../../lib/oom.js')({ path: 'evidence' });
      const kept = (globalThis.kept = []);
      for (let round = 0; ; round++) {
        // A function that V8 has not seen, hot at once.
        const steps = Array.from({ length: 40 }, (_, step) => `s = (s * ${step + 31} + i + ${round}) | 0;`);
        const hot = new Function('n', `let s = ${round}; for (let i = 0; i < n; i++) { ${steps.join('\n')} } return s;`);
        for (let i = 0; i < 3; i++) hot(3000);
        for (let i = 0; i < 10_000; i++) kept.push({ a: i, b: [i] });
      }
    }, { cwd: directory.path, nodeOptions: SMALL });
    return { app, directory };
  });
  for (const { app, directory } of apps) {
    const { code, stderr } = await app.ended();
    assert.equal(code, 1, stderr);
    assert.deepEqual(directory.names(), WHOLE, stderr);
    await validateSnapshot(directory.at('evidence.heapsnapshot'));
  }
});

test('names: path before name, a time stamp, and never over 255 characters', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const options = { name: 'x'.repeat(300), addTimestamp: false };
  assert.equal((await startLeak(t, directory, { shape: 'objects', options }).ended()).code, 1);
  assert.deepEqual(snapshotsIn(directory), [`${'x'.repeat(255 - '.heapsnapshot'.length)}.heapsnapshot`]);
  const stamped = makeTemporaryDirectory(t);
  await startLeak(t, stamped, { shape: 'objects', options: { path: 'a', name: 'b', addTimestamp: true } }).ended();
  assert.match(snapshotsIn(stamped).join(), /^a-\d{8}T\d{6}\.heapsnapshot$/);
});

test('churn that does not leak gives no file', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const churn = async () => {
    require('../../lib/oom.js')();
    const ring = [];
    for (let i = 0; i < 3e6; i++) ring[i % 20_000] = { i, text: `text ${i}` };
    return ring.length;
  };
  const app = startApp(t, churn, { cwd: directory.path, nodeOptions: SMALL });
  assert.equal(await app.result(), 20_000);
  assert.deepEqual(directory.names(), []);
});

test('without heapdumpOnOOM the process dies as ever', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startLeak(t, directory, { shape: 'objects', options: { heapdumpOnOOM: false } });
  assert.match((await app.ended()).stderr, /JavaScript heap out of memory/);
  assert.deepEqual(directory.names(), []);
});

for (const [order, expected] of [
  ['oom monitor', [/^evidence\.heapsnapshot$/, /^evidence\.heapsnapshot\.json$/, /^heap-oom-\d+\.heapsnapshot$/, /^heap-oom-\d+\.json$/]],
  // That one ends the process.
  ['monitor oom', [/^evidence\.heapsnapshot$/, /^evidence\.heapsnapshot\.json$/]],
]) {
  test(`with a monitor of the same limit the one armed last is asked first: ${order}`, async (t) => {
    const directory = makeTemporaryDirectory(t);
    const app = startApp(t, ({ args }) => {
      const arm = {
        oom: () => require('../../lib/oom.js')({ path: 'evidence' }),
        monitor: () => require('../../lib/monitor.js').monitor({ oom: 'wait', dir: '.' }),
      };
      for (const who of args.order.split(' ')) arm[who]();
      const kept = (globalThis.kept = []);
      for (;;) kept.push(new Array(1000).fill(kept.length + 0.5));
    }, { cwd: directory.path, nodeOptions: SMALL, args: { order } });
    assert.equal((await app.ended()).code, 1);
    const names = directory.names();
    assert.equal(names.length, expected.length, names.join());
    for (const [index, pattern] of expected.entries()) assert.match(names[index], pattern);
    for (const name of names.filter((name) => name.endsWith('.heapsnapshot'))) await validateSnapshot(directory.at(name));
  });
}

test('a directory that is missing costs nothing but the file', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startLeak(t, directory, { shape: 'objects', options: { path: 'missing/evidence' } });
  assert.equal((await app.ended()).code, 1);
  assert.deepEqual(directory.names(), []);
});

test('continue: the child of a process that dies completes the file', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async () => {
    const { heap } = require('../../lib/native.js');
    const options = require('../../lib/options.js').normalize({ fallback: 'error' });
    const about = { host: 'h', node: process.version, thread: 0, keepRecord: true };
    const limit = { path: Buffer.from('evidence.heapsnapshot'), atLimit: 'continue', most: 1, announce: false, neverOverAnother: false, ...about };
    heap.armNearHeapLimit(limit, options, () => {});
    const kept = (globalThis.kept = []);
    for (;;) kept.push({ a: kept.length });
  }, { cwd: directory.path, nodeOptions: SMALL });
  await app.exited();
  const [child] = childrenOf(app.pid);
  if (child) await goneAfter(child);
  const { stderr } = await app.ended();
  assert.match(stderr, /JavaScript heap out of memory/);
  await waitFor('the file', () => directory.names().includes('evidence.heapsnapshot'));
  const { nodes } = await validateSnapshot(directory.at('evidence.heapsnapshot'));
  // Nobody was left to correct what the child wrote.
  const record = await waitFor('the record', () => [readRecord(directory, 'evidence')].find(({ complete }) => complete));
  assert.equal(record.report.nodes, nodes);
});

test('one array far beyond the limit leaves a whole snapshot', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async () => {
    require('../../lib/oom.js')({ path: 'evidence' });
    // 80 MB; numbers, so that the file is small.
    const kept = (globalThis.kept = [new Array(10e6).fill(0)]);
    for (;;) kept.push({ a: kept.length });
  }, { cwd: directory.path, nodeOptions: SMALL });
  assert.equal((await app.ended()).code, 1);
  assert.deepEqual(directory.names(), WHOLE);
  await validateSnapshot(directory.at('evidence.heapsnapshot'));
});

for (const atLimit of ['wait', 'continue']) {
  test(`${atLimit}: a process that recovers goes on, with the limit that it had`, async (t) => {
    const directory = makeTemporaryDirectory(t);
    const app = startApp(t, async ({ args }) => {
      const { readFileSync } = require('node:fs');
      const { getHeapStatistics } = require('node:v8');
      require('../../lib/oom.js')({ path: 'evidence', atLimit: args.atLimit });
      const limit = () => getHeapStatistics().heap_size_limit;
      const before = limit();
      let kept = [];
      while (limit() === before) for (let i = 0; i < 10; i++) kept.push(new Array(1000).fill(kept.length + 0.5));
      const raised = limit();
      kept = undefined;
      while (limit() > before) {
        global.gc();
        await new Promise(setImmediate);
      }
      const isComplete = () => {
        try {
          return JSON.parse(readFileSync('evidence.heapsnapshot.json', 'utf8')).complete;
        } catch {
          return false; // Not there yet.
        }
      };
      while (!isComplete()) await new Promise(setImmediate);
      return { before, raised, after: limit() };
    }, { cwd: directory.path, nodeOptions: [...SMALL, '--expose-gc'], args: { atLimit } });
    const { before, raised, after } = await app.result();
    assert.ok(raised > before && raised < before * 2, `${before}, then ${raised}`);
    assert.equal(after, before);
    await validateSnapshot(directory.at('evidence.heapsnapshot'));
    const record = readRecord(directory, 'evidence');
    assert.equal(record.complete, true);
    assert.equal(record.error, undefined);
    assert.equal(record.node, process.version);
  });
}

test('a dump at the limit leaves no pages inheritable that were not', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async () => {
    const { existsSync, readFileSync, readdirSync } = require('node:fs');
    require('../../lib/oom.js')({ path: 'evidence', atLimit: 'wait' });
    const kept = [];
    while (readdirSync('.').length === 0) for (let i = 0; i < 10; i++) kept.push(new Array(1000).fill(kept.length + 0.5));
    let marked = 0;
    for (const mapping of readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)) {
      if (/^VmFlags:.* dc( |$)/m.test(mapping)) marked += 1024 * Number(/^Size: +(\d+) kB/m.exec(mapping)[1]);
    }
    return { marked, heap: require('node:v8').getHeapStatistics().total_heap_size, complete: existsSync('evidence.heapsnapshot') };
  }, { cwd: directory.path, nodeOptions: SMALL });
  const { marked, heap, complete } = await app.result();
  assert.ok(complete);
  assert.ok(marked > 0.8 * heap, `of a heap of ${heap} bytes ${marked} are not to be inherited`);
});

for (const [how, args] of Object.entries({
  'bit by bit': { atLimit: 'exit' },
  'in one loop': { atLimit: 'exit', synchronous: true },
  'in one loop, which goes on': { atLimit: 'wait', synchronous: true },
})) {
  test(`a worker that fills its heap ${how}, leaves a snapshot and ends as Node.js ends it; the process goes on`, async (t) => {
    const directory = makeTemporaryDirectory(t);
    const app = startApp(t, async ({ worker, once, args }) => {
      const thread = worker(
        ({ args: { atLimit, synchronous } }) => {
          require('../../lib/oom.js')({ atLimit });
          const kept = (globalThis.kept = []);
          const leak = () => {
            do for (let i = 0; i < 2000; i++) kept.push({ a: kept.length, b: { c: i } });
            while (synchronous);
            setImmediate(leak);
          };
          leak();
        },
        args,
        { resourceLimits: { maxOldGenerationSizeMb: 32 } },
      ).removeAllListeners('error');
      const exited = once(thread, 'exit');
      const { code } = await once(thread, 'error');
      return { code, status: await exited };
      // V8's flag would win over the worker's own limit.
    }, { cwd: directory.path, nodeOptions: ['--max-old-space-size=0'], args });
    assert.deepEqual(await app.result(), { code: 'ERR_WORKER_OUT_OF_MEMORY', status: 1 });
    const name = `OoM-pid-${app.pid}-thread-1.heapsnapshot`;
    assert.deepEqual(directory.names(), [name, `${name}.json`]);
    assert.equal(readRecord(directory, name.replace('.heapsnapshot', '')).thread, 1);
    await validateSnapshot(directory.at(name));
  });
}

/** Fills most of a control group that has no room for a child, then runs into the limit. */
const leakInGroup = async ({ args, stayAlive }) => {
  if (args.sampled) {
    const { Session } = require('node:inspector');
    const session = new Session();
    session.connect();
    session.post('HeapProfiler.startSampling', { samplingInterval: 4096 });
  }
  // A monitor sees something before.
  const alive = stayAlive();
  const monitor = require('../../lib/monitor.js').monitor({ rss: 1, dir: args.elsewhere, interval: 10 });
  await new Promise((resolve) => monitor.once('snapshot', resolve).once('error', resolve));
  monitor.stop();
  clearTimeout(alive);
  require('../../lib/oom.js')({ path: 'evidence', atLimit: args.atLimit });
  const buffer = Buffer.alloc(args.buffer * 2 ** 20, 1);
  const kept = (globalThis.kept = [buffer]);
  function theLeak() {
    for (let i = 0; i < 1000; i++) kept.push({ a: kept.length, text: `text ${i}` });
  }
  for (;;) theLeak();
};

for (const [atLimit, buffer, what] of [['exit', 110, 'has no room'], ['wait', 110, 'has no room'], ['exit', 20, 'has too little room']]) {
  test(`in a control group where a child ${what} there is an error and a record, ${atLimit}`, async (t) => {
    if (!needsRoot(t)) return;
    const group = makeControlGroup(t, 'memory', { 'memory.limit_in_bytes': 320 << 20 });
    if (group === undefined) return;
    const directory = makeTemporaryDirectory(t);
    const args = { atLimit, buffer, sampled: true, elsewhere: makeTemporaryDirectory(t).path };
    const app = startApp(t, leakInGroup, { cwd: directory.path, nodeOptions: ['--max-old-space-size=64'], via: group.via, args });
    const { stderr } = await app.ended();
    assert.match(stderr, /^no heap snapshot at the heap limit: not enough memory .*evidence\.heapsnapshot\.json$/m);
    assert.deepEqual(directory.names(), ['evidence.heapsnapshot.json']);
    const record = readRecord(directory, 'evidence');
    assert.equal(record.complete, false);
    assert.equal(record.error.code, 'ERR_HEAPDUMP_NO_MEMORY');
    assert.equal(record.pid, app.pid);
    assert.deepEqual(record.thresholds.map(({ reason, limit }) => ({ reason, limit })), [{ reason: 'rss', limit: 1 }]);
    const { rss, heapUsed, heapTotal, heapLimit, cgroupLimit } = record.memory;
    assert.ok(heapUsed > 30e6 && heapTotal >= heapUsed && rss > heapUsed, JSON.stringify(record.memory));
    assert.deepEqual([heapLimit >= 64 << 20, heapLimit < 80 << 20, cgroupLimit], [true, true, 320 << 20]);
    assert.ok(record.heapSpaces.find(({ name }) => name === 'old_space').used > 20e6);
    assert.equal(record.allocationProfile[0].function, 'theLeak', JSON.stringify(record.allocationProfile));
    assert.match(record.allocationProfile[0].script, /host\.cjs|^$/);
  });
}

test('a whole snapshot has a record beside it, unless only failures are wanted', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startLeak(t, directory, { shape: 'arrays', options: { path: 'evidence' } });
  assert.equal((await app.ended()).code, 1);
  assert.deepEqual(directory.names(), WHOLE);
  const record = readRecord(directory, 'evidence');
  const { nodes } = await validateSnapshot(directory.at('evidence.heapsnapshot'));
  assert.deepEqual([record.version, record.reason, record.complete, record.error], [1, 'oom', true, undefined]);
  assert.deepEqual([record.snapshot, record.report.nodes], ['evidence.heapsnapshot', nodes]);
  assert.equal(record.allocationProfile, null);
  assert.ok(record.report.pause > 0 && record.report.childPrivateMemory > 0, JSON.stringify(record));
  const without = makeTemporaryDirectory(t);
  await startLeak(t, without, { shape: 'arrays', options: { path: 'evidence', record: 'failure' } }).ended();
  assert.deepEqual(without.names(), ['evidence.heapsnapshot']);
});

test('a full disk leaves nothing, and no word of success', async (t) => {
  if (!needsRoot(t)) return;
  const directory = mountTmpfs(t, '1m');
  const app = startLeak(t, directory, { shape: 'objects', options: { path: 'evidence' } });
  const { code, stderr } = await app.ended();
  assert.equal(code, 1);
  assert.match(stderr, /^no heap snapshot at the heap limit: .*No space left on device/m);
  assert.ok(!directory.names().includes('evidence.heapsnapshot'), `${directory.names()}`);
  for (const name of directory.names()) assert.ok(fs.statSync(directory.at(name)).size > 0, name);
});

test('threshold: a snapshot when the heap after a garbage collection is over it, and no more than limit', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ say }) => {
    const fs = require('node:fs');
    require('../../lib/oom.js')({ threshold: 5, name: 'my_heapdump', limit: 2, heapdumpOnOOM: false });
    const kept = (globalThis.kept = []);
    for (let i = 0; i < 600_000; i++) kept.push({ i, text: `text ${i}` });
    while (!fs.existsSync('my_heapdump-2.heapsnapshot')) {
      const churn = [];
      for (let i = 0; i < 50_000; i++) churn.push({ i });
      global.gc();
      await new Promise(setImmediate);
    }
    for (let i = 0; i < 20; i++) {
      global.gc();
      await new Promise(setImmediate);
    }
    say('done');
  }, { cwd: directory.path, nodeOptions: ['--max-old-space-size=200', '--expose-gc'] });
  await app.says(/done/);
  await app.ended();
  assert.deepEqual(snapshotsIn(directory).sort(), ['my_heapdump-2.heapsnapshot', 'my_heapdump.heapsnapshot']);
  for (const name of ['my_heapdump', 'my_heapdump-2']) {
    const { reason, threshold, complete, snapshot, report } = readRecord(directory, name);
    assert.deepEqual([reason, complete, snapshot], ['used', true, `${name}.heapsnapshot`]);
    assert.equal(report.nodes, (await validateSnapshot(directory.at(snapshot))).nodes);
    assert.ok(threshold.value > threshold.limit && threshold.limit > 10e6, JSON.stringify(threshold));
  }
});

test('the API: paths, one at a time, deletions, CPU profiles, a singleton', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async () => {
    const load = require('../../lib/oom.js');
    const oom = load({ heapdumpOnOOM: false });
    const text = (promise) => promise.then(String, (error) => error.message);
    const profile = oom.createCpuProfile('profile', 100);
    const refused = await text(oom.createHeapSnapshot('second'));
    const cpu = await profile;
    const samples = JSON.parse(require('node:fs').readFileSync(cpu, 'utf8')).samples.length;
    const made = [await oom.createHeapSnapshot('first'), await oom.createHeapSnapshot('third.heapsnapshot')];
    const foreign = await text(oom.deleteHeapSnapshot('/etc/hostname'));
    await oom.deleteHeapSnapshot(made[0]);
    const gone = await text(oom.deleteHeapSnapshot(made[0]));
    await oom.deleteAllCpuProfiles();
    return { same: load({ path: 'other' }) === oom, refused, cpu, samples, made, foreign, gone };
  }, { cwd: directory.path });
  const result = await app.result();
  assert.equal(result.same, true);
  assert.equal(result.refused, 'A CPU profile or heapdump is already being created, please retry later.');
  assert.equal(result.cpu, 'profile.cpuprofile');
  assert.ok(result.samples > 0);
  assert.deepEqual(result.made, ['first.heapsnapshot', 'third.heapsnapshot']);
  assert.equal(result.foreign, 'File not found:/etc/hostname');
  assert.equal(result.gone, 'File not found:first.heapsnapshot');
  assert.deepEqual(directory.names(), ['third.heapsnapshot']);
  assert.ok(fs.existsSync('/etc/hostname'));
});

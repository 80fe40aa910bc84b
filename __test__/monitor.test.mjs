// Snapshots that nobody asks for: what makes one due, what holds it back, what is left beside it.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { startApp } from './support/app.mjs';
import { evidenceAtTheLimit } from './support/evidence.mjs';
import { makeControlGroup, mountReadOnly, mountTmpfs, needsRoot } from './support/faults.mjs';
import { makeTemporaryDirectory, modeOf } from './support/files.mjs';
import { signalChild, snapshotChildOf } from './support/processes.mjs';
import { validateSnapshot } from './support/validate.mjs';

const GC = ['--expose-gc'];

/** Resolves with the monitor's first `snapshot` event, or what else came first. */
const first = async ({ args, once, plain }) => {
  const { monitor } = require('../../lib/monitor.js');
  const watching = monitor(args.options);
  const events = [];
  for (const type of ['threshold', 'skipped']) watching.on(type, (event) => events.push({ type, ...event }));
  const kept = (globalThis.kept = []);
  const end = Promise.race([
    once(watching, 'snapshot').then((event) => ({ snapshot: event })),
    once(watching, 'error').then((error) => ({ error: { ...plain(error), reason: error.reason } })),
    once(watching, 'skipped').then((event) => ({ skipped: event })),
  ]);
  let done = false;
  end.then(() => (done = true));
  for (let i = 0; !done; i++) {
    if (args.grow === 'objects' && i < 12) for (let j = 0; j < 10_000; j++) kept.push({ i, text: `text ${i} ${j}` });
    if (args.grow === 'buffers' && i < 20) kept.push(Buffer.alloc(8 << 20, 1));
    if (i < 40) global.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  watching.stop();
  return { ...(await end), events };
};

function startFirst(t, directory, options, more = {}) {
  const args = { options: { dir: directory.path, ...options }, ...more.args };
  return startApp(t, first, { cwd: directory.path, nodeOptions: GC, ...more, args });
}

const readSidecar = (file) => JSON.parse(fs.readFileSync(file, 'utf8'));

test('used heap in bytes: a whole snapshot, its sidecar, one threshold event', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startFirst(t, directory, { threshold: '10MB' }, { args: { grow: 'objects' } });
  const { snapshot, events } = await app.result();
  const [file, sidecar] = directory.names();
  assert.match(file, /^heap-used-\d{13}\.heapsnapshot$/);
  assert.equal(sidecar, file.replace('.heapsnapshot', '.json'));
  assert.equal(snapshot.report.path, directory.at(file));
  assert.equal(snapshot.sidecar, directory.at(sidecar));
  assert.equal(modeOf(directory.at(file)), 0o600);
  assert.equal(modeOf(directory.at(sidecar)), 0o600);
  const { nodes } = await validateSnapshot(directory.at(file));

  assert.deepEqual(events.map(({ type, reason, limit }) => [type, reason, limit]), [['threshold', 'used', 10 * 2 ** 20]]);
  assert.ok(events[0].value >= 10 * 2 ** 20);
  const said = readSidecar(directory.at(sidecar));
  assert.deepEqual(
    { reason: said.reason, pid: said.pid, node: said.node, thread: said.thread, complete: said.complete, snapshot: said.snapshot },
    { reason: 'used', pid: app.pid, node: process.version, thread: 0, complete: true, snapshot: file },
  );
  assert.ok(Math.abs(Date.parse(said.time) - Number(/\d{13}/.exec(file)[0])) < 60_000);
  assert.equal(typeof said.host, 'string');
  assert.deepEqual(said.threshold, { value: events[0].value, limit: 10 * 2 ** 20 });
  assert.ok(said.memory.rss > said.memory.heapUsed && said.memory.heapUsed > 8 * 2 ** 20);
  assert.ok(said.memory.heapLimit > said.memory.heapTotal && said.memory.available > 0);
  assert.equal(said.report.nodes, nodes);
  assert.ok(said.report.pause > 0 && said.report.childPeakMemory > 0);
});

test("used heap in percent of V8's limit, one of two thresholds", async (t) => {
  const directory = makeTemporaryDirectory(t);
  const options = { threshold: ['10GB', '3%'], compress: 'gzip' };
  const app = startFirst(t, directory, options, { args: { grow: 'objects' }, nodeOptions: [...GC, '--max-old-space-size=128'] });
  const { snapshot } = await app.result();
  assert.equal(snapshot.reason, 'used');
  const said = readSidecar(snapshot.sidecar);
  assert.ok(Math.abs(said.threshold.limit - said.memory.heapLimit * 0.03) < 1);
  assert.match(snapshot.report.path, /heap-used-\d+\.heapsnapshot\.gz$/);
  await validateSnapshot(snapshot.report.path);
});

test('Buffers, which never come near the limit of V8, are external memory', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const { snapshot } = await startFirst(t, directory, { external: '32MB' }, { args: { grow: 'buffers' } }).result();
  assert.equal(snapshot.reason, 'external');
  assert.ok(readSidecar(snapshot.sidecar).memory.external > 32 * 2 ** 20);
});

test('growth over a baseline, which each alert resets', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ args, once, stayAlive }) => {
    const alive = stayAlive();
    const { monitor } = require('../../lib/monitor.js');
    const watching = monitor({ dir: args.dir, growth: { percent: 50, atLeast: '2MB' }, cooldown: 0 });
    const limits = [];
    watching.on('threshold', ({ reason, value, limit }) => limits.push({ reason, value, limit }));
    const kept = (globalThis.kept = []);
    global.gc();
    await new Promise(setImmediate);
    for (const _ of [1, 2]) {
      const taken = once(watching, 'snapshot');
      const before = limits.length;
      while (limits.length === before) {
        for (let i = 0; i < 5000; i++) kept.push({ i, text: `text ${i}` });
        global.gc();
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      await taken;
    }
    watching.stop();
    clearTimeout(alive);
    return limits;
  }, { args: { dir: directory.path }, nodeOptions: GC });
  const [one, two] = await app.result();
  assert.equal(one.reason, 'growth');
  assert.ok(two.limit >= one.value * 1.5 - 1, 'the second is judged from where the first was');
  assert.ok(directory.names().filter((name) => /^heap-growth-\d+\.heapsnapshot$/.test(name)).length >= 2);
});

test('resident memory, while JavaScript never yields', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ args }) => {
    const fs = require('node:fs');
    require('../../lib/monitor.js').monitor({ dir: args.dir, rss: process.memoryUsage.rss() + 40 * 2 ** 20, interval: 20 });
    globalThis.kept = Buffer.alloc(80 * 2 ** 20, 1);
    const isDone = (name) => name.endsWith('.json') && JSON.parse(fs.readFileSync(`${args.dir}/${name}`, 'utf8') || '{}').complete;
    while (!fs.readdirSync(args.dir).some(isDone));
    return fs.readdirSync(args.dir).sort();
  }, { args: { dir: directory.path } });
  const [file, sidecar] = await app.result();
  assert.match(file, /^heap-rss-\d+\.heapsnapshot$/);
  assert.ok(readSidecar(directory.at(sidecar)).memory.rss > 80 * 2 ** 20);
  await validateSnapshot(directory.at(file));
});

test('the control group, in percent of its limit', async (t) => {
  const group = makeControlGroup(t, 'memory', { 'memory.limit_in_bytes': 400 * 2 ** 20 });
  if (group === undefined) return;
  const directory = makeTemporaryDirectory(t);
  const options = { cgroup: '25%', interval: 20 };
  const app = startFirst(t, directory, options, { args: { grow: 'buffers' }, via: group.via, nodeOptions: [] });
  const { snapshot, events } = await app.result();
  assert.equal(snapshot.reason, 'cgroup');
  assert.equal(events[0].limit, 100 * 2 ** 20);
  const { memory } = readSidecar(snapshot.sidecar);
  assert.equal(memory.cgroupLimit, 400 * 2 ** 20);
  assert.ok(memory.cgroupUsed >= 100 * 2 ** 20);
});

test('a schedule; the oldest go first, and strangers stay', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const strangers = ['heap-auto-1.heapsnapshot', 'heap-schedule-1.heapsnapshot.bak', 'heapdump-1.1.heapsnapshot'];
  for (const name of strangers) fs.writeFileSync(directory.at(name), '');
  fs.writeFileSync(directory.at('heap-schedule-1.heapsnapshot'), 'of an earlier process');
  fs.writeFileSync(directory.at('heap-schedule-1.json'), '{}');
  const app = startApp(t, async ({ args, once, stayAlive }) => {
    const alive = stayAlive();
    const watching = require('../../lib/monitor.js').monitor({ dir: args.dir, every: 50, max: 2 });
    const taken = [];
    while (taken.length < 3) taken.push((await once(watching, 'snapshot')).report.path);
    watching.stop();
    // Another one may have been on its way.
    const fs = require('node:fs');
    const isSettled = () => {
      const names = fs.readdirSync(args.dir).filter((name) => name.startsWith('heap-schedule-'));
      const sidecars = names.filter((name) => name.endsWith('.json'));
      const whole = (name) => {
        try {
          return JSON.parse(fs.readFileSync(`${args.dir}/${name}`, 'utf8')).complete;
        } catch {
          return false; // Not written yet, or removed meanwhile.
        }
      };
      return sidecars.length === 2 && names.length === 5 && sidecars.every(whole);
    };
    while (!isSettled()) await new Promise((resolve) => setTimeout(resolve, 20));
    clearTimeout(alive);
    return taken;
  }, { args: { dir: directory.path } });
  const taken = await app.result();
  const names = directory.names();
  for (const name of strangers) assert.ok(names.includes(name), name);
  const own = names.filter((name) => !strangers.includes(name));
  const snapshots = own.filter((name) => name.endsWith('.heapsnapshot'));
  assert.equal(snapshots.length, 2);
  assert.ok(!own.includes('heap-schedule-1.json'));
  assert.deepEqual(own.filter((name) => name.endsWith('.json')), snapshots.map((name) => name.replace('.heapsnapshot', '.json')));
  assert.ok(snapshots.includes(taken[2].slice(directory.path.length + 1)));
});

test('bytes to keep: all but the newest go', async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.writeFileSync(directory.at('heap-rss-5.heapsnapshot'), 'x');
  const { snapshot } = await startFirst(t, directory, { threshold: 1, keep: 1, cooldown: 0 }).result();
  assert.deepEqual(directory.names().length, 2);
  await validateSnapshot(snapshot.report.path);
});

test('a cooldown survives a restart; what an attempt without an end left counts too', async (t) => {
  const directory = makeTemporaryDirectory(t);
  assert.ok((await startFirst(t, directory, { threshold: 1 }).result()).snapshot);
  const names = directory.names();
  const { skipped, events } = await startFirst(t, directory, { threshold: 1 }).result();
  assert.deepEqual({ reason: skipped.reason, why: skipped.why }, { reason: 'used', why: 'cooldown' });
  assert.match(skipped.message, /^the cooldown ends in \d+ s$/);
  assert.deepEqual(events.map(({ type }) => type), ['threshold', 'skipped']);
  assert.deepEqual(directory.names(), names);

  for (const name of names.filter((name) => name.endsWith('.heapsnapshot'))) fs.rmSync(directory.at(name));
  assert.equal((await startFirst(t, directory, { threshold: 1 }).result()).skipped.why, 'cooldown');
  assert.ok((await startFirst(t, directory, { threshold: 1, cooldown: 1 }).result()).snapshot, 'and then it is over');
});

test('over its limit for long: one snapshot, until it has fallen clearly below', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ args, once, stayAlive }) => {
    const alive = stayAlive();
    const watching = require('../../lib/monitor.js').monitor({ dir: args.dir, threshold: '8MB', cooldown: 0 });
    let told = 0;
    watching.on('threshold', () => (told += 1));
    const fill = () => Array.from({ length: 80_000 }, (_, i) => ({ i, text: `text ${i}` }));
    const collect = async () => {
      for (let i = 0; i < 5; i++) {
        global.gc();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    const taken = once(watching, 'snapshot');
    globalThis.kept = fill();
    await collect();
    await taken;
    await collect();
    const counts = [told];
    const again = once(watching, 'snapshot');
    // A collection may go by unjudged when another one follows at once.
    while (told === 1) {
      globalThis.kept = undefined;
      await collect();
      globalThis.kept = fill();
      await collect();
    }
    await again;
    counts.push(told);
    watching.stop();
    clearTimeout(alive);
    return counts;
  }, { args: { dir: directory.path }, nodeOptions: GC });
  assert.deepEqual(await app.result(), [1, 2]);
});

test('churn that does not leak gives no file, with every limit set', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ args }) => {
    const watching = require('../../lib/monitor.js').monitor({
      dir: args.dir, threshold: '60%', growth: true, external: '200MB', rss: '2GB', interval: 10, oom: true,
    });
    let told = 0;
    for (const type of ['threshold', 'snapshot', 'skipped', 'error']) watching.on(type, () => (told += 1));
    const ring = [];
    for (let i = 0; i < 3e6; i++) {
      ring[i % 20_000] = { i, text: `text ${i}` };
      if (i % 50_000 === 0) await new Promise(setImmediate);
    }
    watching.stop();
    return told;
  }, { args: { dir: directory.path }, nodeOptions: ['--max-old-space-size=64'] });
  assert.equal(await app.result(), 0);
  assert.deepEqual(directory.names(), []);
});

/** What a monitor tells of one crossing, and of the collections after it. */
const failing = async ({ args, plain, say, once, stayAlive }) => {
  const alive = stayAlive();
  const watching = require('../../lib/monitor.js').monitor({ dir: args.dir, threshold: 1, cooldown: 0, ...args.options });
  const told = [];
  watching.on('error', (error) => told.push({ ...plain(error), reason: error.reason }));
  watching.on('snapshot', () => told.push('snapshot'));
  if (args.fill) globalThis.kept = Array.from({ length: args.fill }, (_, i) => ({ i, text: `text ${i}` }));
  const error = once(watching, 'error');
  global.gc();
  say('collected');
  await error;
  for (let i = 0; i < 20; i++) {
    global.gc();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  clearTimeout(alive);
  return told;
};

const noWholeSnapshot = (directory) => assert.deepEqual(directory.names().filter((name) => !name.endsWith('.json')), []);

test('a full disk is one error event: found before, or while writing', async (t) => {
  if (!needsRoot(t)) return;
  const directory = mountTmpfs(t, '2M');
  const before = await startApp(t, failing, { args: { dir: directory.path }, nodeOptions: GC }).result();
  assert.deepEqual(before.map(({ code, reason, syscall }) => [code, reason, syscall]), [['ENOSPC', 'used', 'statvfs']]);
  noWholeSnapshot(directory);
  const args = { dir: directory.path, options: { free: 0, compress: 'gzip' }, fill: 100_000 };
  const during = await startApp(t, failing, { args, nodeOptions: GC }).result();
  assert.deepEqual(during.map(({ code, reason, syscall }) => [code, reason, syscall]), [['ENOSPC', 'used', 'write']]);
  noWholeSnapshot(directory);
});

test('a read-only directory is one error event', async (t) => {
  if (!needsRoot(t)) return;
  const directory = mountReadOnly(t, makeTemporaryDirectory(t).path);
  const told = await startApp(t, failing, { args: { dir: directory.path }, nodeOptions: GC }).result();
  assert.deepEqual(told.map(({ code, reason }) => [code, reason]), [['EROFS', 'used']]);
});

test('a directory that is gone is one error event, and without a listener a warning', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ args, once, stayAlive }) => {
    const alive = stayAlive();
    require('../../lib/monitor.js').monitor({ dir: args.dir, threshold: 1 });
    require('node:fs').rmdirSync(args.dir);
    const warned = once(process, 'warning');
    global.gc();
    const { name, code, message } = await warned;
    clearTimeout(alive);
    return { name, code, message };
  }, { args: { dir: directory.at('gone') }, nodeOptions: GC });
  const { name, code, message } = await app.result();
  assert.deepEqual([name, code], ['HeapdumpWarning', 'ENOENT']);
  assert.match(message, /^no heap snapshot \(used\): heapdump write error ENOENT$/);
});

test('a killed child is one error event, and its sidecar says so', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, failing, { args: { dir: directory.path, fill: 200_000 }, nodeOptions: GC });
  await app.says(/collected/);
  signalChild(await snapshotChildOf(app), 'SIGKILL');
  const told = await app.result();
  assert.deepEqual(told.map(({ code, reason }) => [code, reason]), [['ERR_HEAPDUMP_CHILD_KILLED', 'used']]);
  const [sidecar, ...others] = directory.names();
  assert.deepEqual(others, []);
  const { complete, error } = readSidecar(directory.at(sidecar));
  assert.deepEqual([complete, error.code], [false, 'ERR_HEAPDUMP_CHILD_KILLED']);
});

test('a scheduled snapshot that failed holds nothing back that is due for a limit', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ args, once, stayAlive }) => {
    const alive = stayAlive();
    const fs = require('node:fs');
    const watching = require('../../lib/monitor.js').monitor({ dir: args.dir, every: 1000, threshold: '10MB' });
    fs.rmdirSync(args.dir);
    const { code, reason } = await once(watching, 'error');
    fs.mkdirSync(args.dir);
    const ends = [];
    for (const type of ['snapshot', 'skipped']) {
      watching.on(type, (event) => event.reason === 'used' && event.why !== 'busy' && ends.push([type, event.why]));
    }
    globalThis.kept = Array.from({ length: 120_000 }, (_, i) => ({ i, text: `text ${i}` }));
    while (ends.length === 0) {
      global.gc();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    watching.stop();
    clearTimeout(alive);
    return { code, reason, first: ends[0] };
  }, { args: { dir: directory.at('gone') }, nodeOptions: GC });
  assert.deepEqual(await app.result(), { code: 'ENOENT', reason: 'schedule', first: ['snapshot', null] });
});

test("V8's limit: a snapshot and its sidecar before the process dies", async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ args }) => {
    require('../../lib/monitor.js').monitor({ dir: args.dir, oom: true });
    const kept = (globalThis.kept = []);
    for (;;) kept.push({ a: kept.length });
  }, { args: { dir: directory.path }, nodeOptions: ['--max-old-space-size=16'] });
  assert.match((await app.ended()).stderr, /JavaScript heap out of memory/);
  const said = await evidenceAtTheLimit(directory);
  assert.equal(said.pid, app.pid);
  assert.ok(said.threshold.limit >= 16 * 2 ** 20 && said.threshold.value > 8 * 2 ** 20, JSON.stringify(said.threshold));
});

test("V8's limit again, after the cooldown of a process that recovered", async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ args, once, stayAlive }) => {
    const { getHeapStatistics } = require('node:v8');
    const alive = stayAlive();
    const monitor = () => require('../../lib/monitor.js').monitor({ dir: args.dir, oom: true, cooldown: 1 });
    // One that has ended is still armed, as it says.
    monitor().stop();
    const watching = monitor();
    const limit = getHeapStatistics().heap_size_limit;
    const taken = [];
    for (const _ of [1, 2]) {
      let told = false;
      const snapshot = once(watching, 'snapshot').then(({ report }) => ((told = true), taken.push(report.path)));
      while (!told) {
        let kept = [];
        while (getHeapStatistics().heap_size_limit === limit) for (let i = 0; i < 10; i++) kept.push(new Array(1000).fill(kept.length + 0.5));
        kept = undefined;
        while (getHeapStatistics().heap_size_limit > limit) {
          global.gc();
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }
      await snapshot;
      // A timer of the monitor's arms it again, and this one is later.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    clearTimeout(alive);
    return taken;
  }, { args: { dir: directory.path }, nodeOptions: [...GC, '--max-old-space-size=32'] });
  const taken = await app.result();
  assert.equal(new Set(taken).size, 2);
  for (const file of taken) await validateSnapshot(file);
});

test('a monitor does not keep the process alive, and a stopped one is silent', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ args }) => {
    const { monitor } = require('../../lib/monitor.js');
    const all = { dir: args.dir, threshold: '90%', rss: '9GB', growth: true, every: '1h', metrics: { gauge() {} }, interval: 5 };
    monitor(all);
    const stopped = monitor({ dir: args.dir, threshold: 1, every: 1000 });
    let told = 0;
    for (const type of ['threshold', 'snapshot', 'skipped', 'error']) stopped.on(type, () => (told += 1));
    stopped.stop();
    global.gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
    return told;
  }, { args: { dir: directory.path }, nodeOptions: GC });
  assert.equal(await app.result(), 0);
  assert.deepEqual(directory.names(), []);
});

test('a worker watches its own heap, and its end ends that', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ args, worker, once }) => {
    const thread = worker(async ({ args: { dir }, once: next, stayAlive }) => {
      const alive = stayAlive();
      const watching = require('../../lib/monitor.js').monitor({ dir, threshold: '10MB', cooldown: 0 });
      globalThis.kept = Array.from({ length: 120_000 }, (_, i) => ({ i, text: `text ${i}` }));
      const taken = next(watching, 'snapshot');
      global.gc();
      require('node:worker_threads').parentPort.postMessage((await taken).sidecar);
      clearTimeout(alive);
    }, { dir: args.dir });
    // Together: Node.js hands out a thread's last messages right before its exit, in one go.
    const [sidecar] = await Promise.all([once(thread, 'message'), once(thread, 'exit')]);
    for (let i = 0; i < 5; i++) global.gc();
    return sidecar;
  }, { args: { dir: directory.path }, nodeOptions: GC });
  assert.equal(readSidecar(await app.result()).thread, 1);
});

test('metrics: numbers by name, a gauge function, the diagnostics channel', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ args, once, stayAlive }) => {
    const alive = stayAlive();
    const { subscribe } = require('node:diagnostics_channel');
    const channel = [];
    subscribe('heapdump-rs:monitor', ({ type, reason }) => channel.push([type, reason]));
    const gauges = {};
    const metrics = { gauge: (name, value) => (gauges[name] = value) };
    const watching = require('../../lib/monitor.js').monitor({ dir: args.dir, threshold: 1, metrics, metricsInterval: 10 });
    const taken = once(watching, 'snapshot');
    global.gc();
    await taken;
    while (gauges['heapdump.taken'] !== 1) await new Promise((resolve) => setTimeout(resolve, 5));
    watching.stop();
    clearTimeout(alive);
    return { gauges, channel, metrics: watching.metrics() };
  }, { args: { dir: directory.path }, nodeOptions: GC });
  const { gauges, channel, metrics } = await app.result();
  for (const name of ['nodejs.memory.rss', 'nodejs.memory.heap_used', 'nodejs.memory.heap_total', 'heapdump.last_pause']) {
    assert.ok(gauges[name] > 0, name);
  }
  assert.deepEqual(Object.keys(metrics), Object.keys(gauges));
  assert.deepEqual([metrics['heapdump.taken'], metrics['heapdump.failed'], metrics['heapdump.in_progress']], [1, 0, 0]);
  assert.deepEqual(channel, [['threshold', 'used'], ['snapshot', 'used']]);
});

test('at the limit of open files there are fewer metrics, and no throw out of a timer', async (t) => {
  const app = startApp(t, async ({ stayAlive }) => {
    const alive = stayAlive();
    const { closeSync, openSync } = require('node:fs');
    const names = new Set();
    const metrics = { gauge: (name) => names.add(name) };
    const watching = require('../../lib/monitor.js').monitor({ metrics, metricsInterval: 5 });
    watching.metrics();
    const open = [];
    try {
      for (;;) open.push(openSync('/dev/null'));
    } catch ({ code }) {
      while (!names.has('heapdump.taken')) await new Promise((resolve) => setTimeout(resolve, 5));
      const atLimit = [code, names.has('nodejs.memory.heap_used'), names.has('nodejs.memory.rss')];
      open.map(closeSync);
      while (!names.has('nodejs.memory.rss')) await new Promise((resolve) => setTimeout(resolve, 5));
      clearTimeout(alive);
      return atLimit;
    }
  }, { via: ['sh', '-c', 'ulimit -n 64 && exec "$@"', 'sh'] });
  assert.deepEqual(await app.result(), ['EMFILE', true, false]);
});

test('prom-client and OpenTelemetry get them', async (t) => {
  const app = startApp(t, async () => {
    const watching = require('../../lib/monitor.js').monitor();
    const prom = require('prom-client');
    watching.toPrometheus(prom);
    prom.collectDefaultMetrics();
    const own = new prom.Registry();
    watching.toPrometheus(prom, { registers: [own], prefix: 'app_' });

    const { MeterProvider, MetricReader } = require('@opentelemetry/sdk-metrics');
    class Reader extends MetricReader {
      onForceFlush() {}
      onShutdown() {}
    }
    const reader = new Reader();
    const end = watching.toOpenTelemetry(new MeterProvider({ readers: [reader] }).getMeter('test'));
    const collect = async () => {
      const { resourceMetrics } = await reader.collect();
      const points = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics).filter(({ dataPoints }) => dataPoints.length > 0);
      return Object.fromEntries(points.map(({ descriptor, dataPoints }) => [descriptor.name, [descriptor.unit, dataPoints[0].value]]));
    };
    const points = await collect();
    end();
    const after = await collect();
    watching.stop();
    return { text: await prom.register.metrics(), own: await own.metrics(), points, after };
  });
  const { text, own, points, after } = await app.result();
  assert.match(text, /^nodejs_memory_rss_bytes \d{6,}$/m);
  assert.match(text, /^heapdump_taken 0$/m);
  assert.doesNotMatch(text, /^heapdump_last_pause_milliseconds /m);
  assert.match(own, /^app_nodejs_memory_heap_used_bytes \d{6,}$/m);
  assert.equal(points['nodejs.memory.heap_used'][0], 'By');
  assert.ok(points['nodejs.memory.heap_used'][1] > 1e6);
  assert.equal(points['heapdump.last_pause'], undefined);
  assert.deepEqual(after, points, 'nothing is read any more');
});

test('options that are wrong throw at once, and say what was expected', async (t) => {
  const wrong = [
    null, { threshold: 'abc' }, { threshold: 0 }, { rss: '80%' }, { cgroup: '1GB' }, { growth: 'x' }, { every: 0 }, { max: 0 },
    { keep: -1 }, { oom: 'never' }, { hysteresis: '100%' }, { metrics: {} }, { compress: 'xz' }, { tresholds: 1 }, { dir: 5 },
  ];
  const app = startApp(t, ({ args }) => {
    const { monitor } = require('../../lib/monitor.js');
    return args.wrong.map((options) => {
      try {
        monitor(options).stop();
        return 'no error';
      } catch (error) {
        return `${error.code} ${error.message}`;
      }
    });
  }, { args: { wrong } });
  const messages = await app.result();
  for (const [index, message] of messages.entries()) {
    assert.match(message, /^ERR_INVALID_ARG_(TYPE|VALUE) The ".*" option must be /, JSON.stringify(wrong[index]));
  }
  assert.match(messages[1], /"threshold" option must be a size such as '1\.5GB' .* a percentage such as '80%' .* Received 'abc'/);
});

test('a gauge function that throws is one error event and no throw out of a timer', async (t) => {
  const app = startApp(t, async ({ once, stayAlive }) => {
    const alive = stayAlive();
    let calls = 0;
    const gauge = () => {
      calls += 1;
      throw new Error('the client is closed');
    };
    const watching = require('../../lib/monitor.js').monitor({ metrics: { gauge }, metricsInterval: 1 });
    const errors = [];
    watching.on('error', ({ message }) => errors.push(message));
    await once(watching, 'error');
    // Had the timer gone on, it would have come round before this one.
    await new Promise((resolve) => setTimeout(resolve, 50));
    clearTimeout(alive);
    watching.stop();
    return { calls, errors };
  });
  assert.deepEqual(await app.result(), { calls: 1, errors: ['the client is closed'] });
});

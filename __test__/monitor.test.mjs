// Snapshots that nobody asks for: what makes one due, what holds it back, what is left beside it.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { startApp } from './support/app.mjs';
import { evidenceAtTheLimit, readSidecar } from './support/evidence.mjs';
import { makeControlGroup } from './support/faults.mjs';
import { makeTemporaryDirectory, modeOf } from './support/files.mjs';

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

// Reports beside snapshots: another process makes them, where there is room for it, and the application notices nothing.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { monitor } from 'heapdump-rs/monitor';

import { startApp } from './support/app.mjs';
import { makeControlGroup, needsRoot } from './support/faults.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { childrenOf, waitFor } from './support/processes.mjs';

const MIB = 2 ** 20;
const SECRET = 'hunter2-of-somebody@example.com';
const documentIn = (file) => JSON.parse(/<script type="application\/json" id="report">(.*?)<\/script>/s.exec(fs.readFileSync(file, 'utf8'))[1]);

/** One snapshot, at once. */
const ONE = { rss: '1MB', interval: 20 };

/** Watches until it knows of `args.count` reports what became of them. */
const watch = async ({ args, stayAlive }) => {
  const alive = stayAlive();
  class Customer { constructor(text) { this.text = text; } }
  globalThis.kept = Array.from({ length: 2000 }, () => new Customer(`${args.secret} `.repeat(2)));
  const watching = require('../../lib/monitor.js').monitor({ dir: args.dir, report: true, ...args.options });
  const told = [];
  watching.on('reported', (event) => told.push(event));
  watching.on('error', ({ code, message, reason }) => told.push({ code, message, reason }));
  while (told.length < args.count) await new Promise((resolve) => setTimeout(resolve, 10));
  watching.stop();
  clearTimeout(alive);
  return told;
};

test('a monitor leaves one beside its snapshot, for its owner alone, without contents of strings', async (t) => {
  const directory = makeTemporaryDirectory(t);
  // What another Node.js would be told by the environment is not meant for the one that makes the report.
  const env = { NODE_OPTIONS: '--no-warnings', NODE_HEAPDUMP_OPTIONS: 'dir=/nowhere' };
  const app = startApp(t, watch, { env, args: { dir: directory.path, secret: SECRET, count: 1, options: { ...ONE, compress: 'gzip' } } });
  const [{ reason, snapshot, file }] = await app.result();
  assert.equal(reason, 'rss');
  assert.equal(file, snapshot.replace('.heapsnapshot.gz', '.report.html'));
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  const page = fs.readFileSync(file, 'utf8');
  assert.ok(!page.includes(SECRET) && page.includes('Customer'));
  const { heap, records, files } = documentIn(file);
  assert.equal(heap.summary.classes.find(({ name }) => name === 'Customer').count, 2000);
  assert.deepEqual([records[0].pid, records[0].complete, files], [app.pid, true, [snapshot.split('/').at(-1)]]);
});

test('of a redacted snapshot it knows pseudonyms alone', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const args = { dir: directory.path, secret: SECRET, count: 1, options: { ...ONE, redact: true } };
  const [{ file }] = await startApp(t, watch, { args }).result();
  assert.ok(!fs.readFileSync(file, 'utf8').includes(SECRET));
  assert.ok(documentIn(file).heap.objects.length > 0);
});

test('it goes with its snapshot', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const args = { dir: directory.path, secret: '', count: 1, options: { ...ONE, cooldown: 0, max: 1 } };
  const [first] = await startApp(t, watch, { args }).result();
  assert.ok(fs.existsSync(first.file));
  const [second] = await startApp(t, watch, { args }).result();
  assert.deepEqual(directory.names().filter((name) => name.endsWith('.report.html')), [path.basename(second.file)]);
  assert.ok(!fs.existsSync(first.snapshot));
});

test('what a process left at its limit is reported by the next', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const dying = startApp(t, async ({ args }) => {
    require('../../lib/monitor.js').monitor({ dir: args.dir, oom: 'exit', report: true });
    const kept = (globalThis.kept = []);
    for (;;) {
      for (let i = 0; i < 5000; i++) kept.push({ a: kept.length });
      await new Promise(setImmediate);
    }
  }, { args: { dir: directory.path }, nodeOptions: ['--max-old-space-size=32'] });
  assert.equal((await dying.ended()).code, 1);
  assert.ok(!directory.names().some((name) => name.endsWith('.report.html')));
  const [{ reason, file }] = await startApp(t, watch, { args: { dir: directory.path, secret: '', count: 1 } }).result();
  assert.equal(reason, 'oom');
  assert.match(documentIn(file).headline, /%/);
});

test('where there is no room for it, it waits for a later process, and the application lives', async (t) => {
  if (!needsRoot(t)) return;
  const group = makeControlGroup(t, 'memory', { 'memory.limit_in_bytes': 180 * MIB });
  if (group === undefined) return;
  const directory = makeTemporaryDirectory(t);
  const args = { dir: directory.path, secret: '', count: 1, options: ONE };
  const [{ code, message, reason }] = await startApp(t, watch, { args, via: group.via }).result();
  assert.deepEqual([code, reason], ['ERR_HEAPDUMP_NO_REPORT', 'rss']);
  assert.match(message, /\d+ MB are left below the memory control group, and \d+ MB are needed/);
  const sidecars = directory.names().filter((name) => name.endsWith('.json')).map((name) => JSON.parse(fs.readFileSync(directory.at(name), 'utf8')));
  assert.ok(sidecars.every(({ noReport }) => noReport === undefined));
  const later = { ...args, options: {} };
  const [told] = await startApp(t, watch, { args: later }).result();
  assert.ok(fs.existsSync(told.file), JSON.stringify(told));
});

test('one that fails is told once', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const stem = 'heap-rss-1795262584567';
  fs.writeFileSync(directory.at(`${stem}.heapsnapshot`), 'no snapshot');
  fs.writeFileSync(directory.at(`${stem}.json`), JSON.stringify({ reason: 'rss', time: '2026-11-21T12:03:04Z', host: 'another', pid: 1, snapshot: `${stem}.heapsnapshot`, complete: true }));
  const [{ code, message }] = await startApp(t, watch, { args: { dir: directory.path, secret: '', count: 1 } }).result();
  assert.equal(code, 'ERR_HEAPDUMP_NO_REPORT');
  assert.match(message, /heapsnapshot/);
  assert.match(JSON.parse(fs.readFileSync(directory.at(`${stem}.json`), 'utf8')).noReport, /no report/);
});

test('its process goes last, is limited, and starting it does not stop a large application', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ args, promises, stayAlive, say }) => {
    const alive = stayAlive();
    const { spawn } = require('node:child_process');
    const { path } = await promises.writeSnapshot(`${args.dir}/a.heapsnapshot`);
    globalThis.kept = Array.from({ length: 8 }, () => Buffer.alloc(2 ** 26, 1));
    const timed = (body) => {
      const start = performance.now();
      body();
      return performance.now() - start;
    };
    const none = () => spawn('/bin/true', { stdio: 'ignore' });
    // Each the best of three: whoever else runs here makes single ones longer.
    const copied = Math.min(timed(none), timed(none), timed(none));
    let report;
    const beside = Math.min(...[1, 2, 3].map((n) => timed(() => (report = promises.leaveReport(path, `${args.dir}/${n}.html`)))));
    say('started');
    const file = await report;
    clearTimeout(alive);
    return { copied, beside, file };
  }, { args: { dir: directory.path } });
  await app.says(/started/);
  // nice(2), proc(5): field 19 of stat.
  const last = await waitFor('its process', () => childrenOf(app.pid).find(({ pid }) => {
    try {
      const nice = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ')[16];
      return nice === '19' && /^Max data size +\d/m.test(fs.readFileSync(`/proc/${pid}/limits`, 'utf8'));
    } catch {
      return false;
    }
  }));
  const goesFirst = fs.readFileSync(`/proc/${last.pid}/oom_score_adj`, 'utf8');
  assert.equal(goesFirst.trim(), '1000');
  const { copied, beside, file } = await app.result();
  assert.equal(file, directory.at('3.html'));
  t.diagnostic(`the event loop stood still for ${beside.toFixed(1)} ms, and for ${copied.toFixed(1)} ms by child_process with 512 MB`);
  assert.ok(beside < copied / 4, `${beside} of ${copied}`);
});

test('heapdump-rs/oom, the file exporter and promises leave one too', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ args, promises, stayAlive }) => {
    const alive = stayAlive();
    const { FileExporter, exportSnapshot } = require('../../lib/exporters.js');
    const { existsSync } = require('node:fs');
    const { location } = await exportSnapshot(new FileExporter({ directory: `${args.dir}/out`, report: true }), { name: 'a.heapsnapshot' });
    const alone = await promises.leaveReport(location, `${args.dir}/alone.html`);
    const refused = await promises.leaveReport(`${args.dir}/a.heapimage`).catch(({ code }) => code);
    require('../../lib/oom.js')({ path: `${args.dir}/evidence`, threshold: 1, limit: 1, heapdumpOnOOM: false, report: true });
    globalThis.kept = Array.from({ length: 200_000 }, (_, i) => ({ i }));
    require('node:v8').setFlagsFromString('--expose-gc');
    const gc = require('node:vm').runInNewContext('gc');
    const wanted = [location.replace('.heapsnapshot', '.report.html'), `${args.dir}/evidence.report.html`];
    while (!wanted.every((file) => existsSync(file))) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    clearTimeout(alive);
    return { alone, refused };
  }, { args: { dir: directory.path } });
  assert.deepEqual(await app.result(), { alone: directory.at('alone.html'), refused: 'ERR_INVALID_ARG_VALUE' });
  for (const name of ['alone.html', 'out/a.report.html', 'evidence.report.html']) assert.ok(documentIn(directory.at(name)).heap.objects.length > 0, name);
});

test('wrong options are told', () => {
  for (const report of ['yes', 1, null]) assert.throws(() => monitor({ report }), { code: 'ERR_INVALID_ARG_TYPE' });
});

// Automatic snapshots and those at V8's limit, handed to an exporter: at once, or by the next process.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import { test } from 'node:test';

import { validateSnapshot, validateStream } from '../harness/validate.mjs';
import { startApp } from './support/app.mjs';
import { atEndOf, makeTemporaryDirectory } from './support/files.mjs';
import { waitFor } from './support/processes.mjs';

const HOST = os.hostname().replace(/[^\w.-]/g, '_');
const readJson = (file) => JSON.parse(fs.readFileSync(file, 'utf8'));
const sha256 = (file) => crypto.createHash('sha256').update(fs.readFileSync(file)).digest('hex');

/** `dir` for the monitor, `out` for the exporter. */
function makeDirectories(t) {
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('dir'));
  return { at: directory.at, dir: directory.at('dir'), out: directory.at('out'), names: directory.names };
}

/** Takes `args.count` snapshots by schedule; what the monitor told of them. */
const watch = async ({ args }) => {
  const { monitor } = require('../../lib/monitor.js');
  const { FileExporter } = require('../../lib/exporters.js');
  const exporter = new FileExporter({ directory: args.out });
  const watching = monitor({ dir: args.dir, exporter, ...args.options });
  const told = { exported: [], errors: [] };
  watching.on('error', ({ code, message, reason }) => told.errors.push({ code, message, reason }));
  watching.on('exported', (event) => told.exported.push(event));
  const alive = setInterval(() => {}, 1000);
  while (told.exported.length + told.errors.length < args.count) await new Promise((resolve) => setTimeout(resolve, 10));
  clearInterval(alive);
  watching.stop();
  return told;
};

test('monitor: a snapshot goes to the exporter when it is complete, and its JSON says where', async (t) => {
  const { dir, out, at, names } = makeDirectories(t);
  const app = startApp(t, watch, { args: { dir, out, count: 1, options: { every: '100ms', compress: 'gzip' } } });
  const { exported, errors } = await app.result();
  assert.deepEqual(errors, []);
  const [{ reason, snapshot, location, bytes, sha256: digest, sidecar }] = exported;
  assert.equal(reason, 'schedule');
  assert.match(snapshot, /\/dir\/heap-schedule-\d{13}\.heapsnapshot\.gz$/);
  const stem = /heap-schedule-\d+/.exec(snapshot)[0];
  assert.equal(location, `${out}/${stem}-${HOST}-${app.pid}.heapsnapshot.gz`);
  await validateSnapshot(location);
  assert.deepEqual([bytes, digest], [fs.statSync(snapshot).size, sha256(snapshot)]);
  assert.equal(digest, sha256(location));

  const said = readJson(sidecar);
  assert.deepEqual({ ...said.exported, time: '' }, { time: '', location, bytes, sha256: digest });
  assert.ok(Date.parse(said.exported.time) >= Date.parse(said.time));
  assert.deepEqual([said.complete, said.pid, said.snapshot], [true, app.pid, `${stem}.heapsnapshot.gz`]);
  assert.ok(said.report.nodes > 4000, 'nothing that was there is lost');
  assert.deepEqual(names('dir').filter((name) => name.endsWith('.exported.tmp')), []);
  assert.equal(fs.statSync(sidecar).mode & 0o777, 0o600);
  assert.ok(fs.existsSync(at('dir', `${stem}.heapsnapshot.gz`)));
});

const LEAK = async ({ args }) => {
  const { monitor } = require('../../lib/monitor.js');
  const { FileExporter } = require('../../lib/exporters.js');
  monitor({ dir: args.dir, oom: args.oom, cooldown: 0, exporter: new FileExporter({ directory: args.out }) });
  const kept = (globalThis.kept = []);
  for (;;) {
    for (let i = 0; i < 5000; i++) kept.push({ a: kept.length });
    await new Promise(setImmediate);
  }
};

test("monitor: what V8's limit left is exported by the next process, once", async (t) => {
  const { dir, out, names } = makeDirectories(t);
  const dying = startApp(t, LEAK, { nodeOptions: ['--max-old-space-size=32'], args: { dir, out, oom: 'exit' } });
  assert.equal((await dying.ended()).code, 1);
  const [snapshot, sidecar] = [/\.heapsnapshot$/, /\.json$/].map((kind) => names('dir').find((name) => kind.test(name)));
  assert.equal(readJson(`${dir}/${sidecar}`).complete, true);
  assert.ok(!fs.existsSync(out), 'there was no time for it');
  const before = fs.statSync(`${dir}/${sidecar}`).mtimeMs;

  const next = startApp(t, watch, { args: { dir, out, count: 1, options: {} } });
  const { exported } = await next.result();
  assert.deepEqual([exported[0].reason, exported[0].snapshot], ['oom', `${dir}/${snapshot}`]);
  const name = snapshot.replace('.heapsnapshot', `-${HOST}-${dying.pid}.heapsnapshot`);
  assert.deepEqual(names('out'), [name]);
  assert.ok((await validateSnapshot(`${out}/${name}`)).nodes > 10_000);
  assert.equal(readJson(`${dir}/${sidecar}`).exported.location, `${out}/${name}`);
  assert.ok(Math.abs(fs.statSync(`${dir}/${sidecar}`).mtimeMs - before) < 1, 'the cooldown goes by this time');

  // The one after it has only its own to export.
  fs.rmSync(`${out}/${name}`);
  const last = startApp(t, watch, { args: { dir, out, count: 1, options: { every: '100ms' } } });
  assert.deepEqual((await last.result()).exported.map(({ reason }) => reason), ['schedule']);
  assert.deepEqual(names('out').map((each) => each.split('-')[1]), ['schedule']);
});

test("monitor: of what lies in the directory only one's own whole files of ended processes are exported", async (t) => {
  const { at, dir, out, names } = makeDirectories(t);
  const leave = (number, about, content = 'whole') => {
    const snapshot = `heap-used-${number}.heapsnapshot`;
    const facts = { version: 1, reason: 'used', time: '2026-01-01T00:00:00Z', pid: 1, host: 'elsewhere', complete: true, snapshot };
    fs.writeFileSync(at('dir', `heap-used-${number}.json`), JSON.stringify({ ...facts, ...about }));
    if (content) fs.writeFileSync(at('dir', snapshot), content);
  };
  fs.writeFileSync(at('secret'), 'secret');
  leave('1000000000001', { pid: process.pid, host: os.hostname() }); // this test, which runs
  leave('1000000000002', { exported: { location: 's3://a/b' } });
  leave('1000000000003', { complete: false, error: { code: 'ENOSPC' } }, null);
  leave('1000000000004', { snapshot: '../secret' }, null);
  leave('1000000000005', {}, null);
  fs.symlinkSync('../secret', at('dir', 'heap-used-1000000000005.heapsnapshot'));
  fs.writeFileSync(at('dir', 'heap-used-1000000000006.json'), '{"version": 1,');
  // Ended before its child, which compressed what it wrote.
  leave('1000000000007', { complete: null }, null);
  fs.writeFileSync(at('dir', 'heap-used-1000000000007.heapsnapshot.zst'), 'whole');
  // In a container: the same pid, in an earlier life.
  leave('1000000000008', { pid: 'OWN', host: os.hostname() });
  const app = startApp(t, async ({ args }) => {
    const fs = require('node:fs');
    const file = `${args.dir}/heap-used-1000000000008.json`;
    fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace('"OWN"', String(process.pid)));
    const { monitor } = require('../../lib/monitor.js');
    const { FileExporter } = require('../../lib/exporters.js');
    const watching = monitor({ dir: args.dir, exporter: new FileExporter({ directory: args.out }) });
    const exported = [];
    watching.on('exported', ({ snapshot }) => exported.push(require('node:path').basename(snapshot)));
    watching.on('error', (error) => exported.push(error.message));
    // The loop ends when all is done: a monitor keeps no process alive.
    await new Promise((resolve) => process.once('beforeExit', resolve));
    return exported;
  }, { args: { dir, out } });
  const expected = ['heap-used-1000000000007.heapsnapshot.zst', 'heap-used-1000000000008.heapsnapshot'];
  assert.deepEqual(await app.result(), expected);
  assert.deepEqual(names('out'), [
    'heap-used-1000000000007-elsewhere-1.heapsnapshot.zst',
    `heap-used-1000000000008-${HOST}-${app.pid}.heapsnapshot`,
  ]);
});

test('monitor: a store that fails is an error event with the reason, and the next process tries again', async (t) => {
  const { dir, out, names } = makeDirectories(t);
  fs.writeFileSync(out, 'a file where the directory should be');
  const app = startApp(t, watch, { args: { dir, out, count: 1, options: { every: '100ms' } } });
  const { errors, exported } = await app.result();
  assert.deepEqual([errors[0].code, errors[0].reason, exported.length], ['ERR_HEAPDUMP_EXPORT', 'schedule', 0]);
  const sidecar = names('dir').find((name) => name.endsWith('.json'));
  assert.deepEqual([readJson(`${dir}/${sidecar}`).complete, readJson(`${dir}/${sidecar}`).exported], [true, undefined]);
  fs.rmSync(out);
  const next = startApp(t, watch, { args: { dir, out, count: 1, options: {} } });
  assert.equal((await next.result()).exported[0].reason, 'schedule');
  assert.equal(names('out').length, 1);
});

test('monitor: what a listener throws is an uncaught exception, and no export fails of it', async (t) => {
  const { dir, out, names } = makeDirectories(t);
  for (const number of [1, 2]) {
    const about = { reason: 'used', time: '2026-01-01T00:00:00Z', pid: 1, host: 'elsewhere', snapshot: `heap-used-${number}.heapsnapshot` };
    fs.writeFileSync(`${dir}/heap-used-${number}.json`, JSON.stringify(about));
    fs.writeFileSync(`${dir}/${about.snapshot}`, 'whole');
  }
  const app = startApp(t, async ({ args }) => {
    const { monitor } = require('../../lib/monitor.js');
    const { FileExporter } = require('../../lib/exporters.js');
    const told = [];
    process.on('uncaughtException', ({ message }) => told.push(`uncaught ${message}`));
    monitor({ dir: args.dir, exporter: new FileExporter({ directory: args.out }) })
      .on('error', ({ message }) => told.push(`error ${message}`))
      .on('exported', () => {
        throw new Error('of a listener');
      });
    await new Promise((resolve) => process.once('beforeExit', resolve));
    return told;
  }, { args: { dir, out } });
  assert.deepEqual(await app.result(), Array(2).fill('uncaught of a listener'));
  assert.equal(names('out').length, 2);
});

test('monitor: an SDK that is missing is told at the start, a wrong exporter is thrown', async (t) => {
  const { dir } = makeDirectories(t);
  const app = startApp(t, async ({ args, once, plain }) => {
    const { monitor } = require('../../lib/monitor.js');
    const { S3Exporter } = require('../../lib/exporters.js');
    const alive = setInterval(() => {}, 1000);
    const error = await once(monitor({ dir: args.dir, exporter: new S3Exporter({ bucket: 'a' }) }), 'error');
    const warned = once(process, 'warning');
    monitor({ dir: args.dir, exporter: new S3Exporter({ bucket: 'a' }) });
    const { name, message } = await warned;
    clearInterval(alive);
    const thrown = [];
    for (const exporter of [null, 's3', {}]) {
      try {
        monitor({ dir: args.dir, exporter });
      } catch (error) {
        thrown.push(error.code);
      }
    }
    return { code: plain(error).code, warning: `${name}: ${message}`, thrown };
  }, { args: { dir } });
  const { code, warning, thrown } = await app.result();
  assert.equal(code, 'ERR_HEAPDUMP_MISSING_PEER');
  assert.match(warning, /^HeapdumpWarning: a heap snapshot was not exported \(monitor\): S3Exporter needs .* npm install @aws/);
  assert.deepEqual(thrown, Array(3).fill('ERR_INVALID_ARG_TYPE'));
});

test('what an exporter of the application’s own throws is a warning, whatever it is, and the application goes on', async (t) => {
  const { dir } = makeDirectories(t);
  const app = startApp(t, async ({ args, once }) => {
    const alive = setInterval(() => {}, 1000);
    // As gRPC's errors: a number for a code.
    const numbered = Object.assign(new Error('denied'), { code: 7 });
    const warnings = [];
    for (const thrown of [numbered, undefined]) {
      const refusing = { prepare: () => Promise.reject(thrown), export: () => Promise.reject(thrown) };
      for (const start of [
        () => require('../../lib/monitor.js').monitor({ dir: args.dir, exporter: refusing }),
        () => new (require('../../lib/oom-files.js').OomFiles)({ exporter: refusing }).takeWhatWasLeft(`${args.dir}/a`, false),
      ]) {
        const warned = once(process, 'warning');
        start();
        const { name, message } = await warned;
        warnings.push(`${name}: ${message}`);
      }
    }
    await new Promise(setImmediate);
    clearInterval(alive);
    return warnings;
  }, { args: { dir } });
  assert.deepEqual(await app.result(), [
    'HeapdumpWarning: a heap snapshot was not exported (monitor): denied',
    'HeapdumpWarning: no heap snapshot will be exported: denied',
    'HeapdumpWarning: a heap snapshot was not exported (monitor): undefined',
    'HeapdumpWarning: no heap snapshot will be exported: undefined',
  ]);
});

/** A webhook that keeps the names of what it got, whole. */
async function receive(t) {
  const received = [];
  const server = http.createServer(async (request, response) => {
    const { nodes } = await validateStream(request);
    received.push({ name: request.headers['x-heapdump-name'], nodes });
    response.end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEndOf(t, () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${server.address().port}/dumps`, received };
}

const OOM = async ({ args, say, stayAlive }) => {
  const { WebhookExporter } = require('../../lib/exporters.js');
  require('../../lib/oom.js')({ ...args.options, exporter: new WebhookExporter({ url: args.url, retries: 0 }) });
  say('armed');
  stayAlive();
  const kept = (globalThis.kept = []);
  // Somebody notices the leak when there is a snapshot of it.
  let leaks = args.leaks;
  require('node:diagnostics_channel').subscribe('heapdump-rs:snapshot', ({ type }) => {
    leaks = false;
    if (type === 'end') kept.length = 0;
  });
  while (leaks) {
    for (let j = 0; j < 5000; j++) kept.push({ a: kept.length });
    // V8 may collect all of the heap only when it is at its limit, which is too late for a threshold.
    if (kept.length % 50_000 === 0) global.gc?.();
    await new Promise(setImmediate);
  }
};

test("oom: what V8's limit left goes to the exporter when the program starts again, and is then gone here", async (t) => {
  const directory = makeTemporaryDirectory(t);
  const { url, received } = await receive(t);
  const start = (options, leaks) =>
    startApp(t, OOM, { cwd: directory.path, nodeOptions: ['--max-old-space-size=32'], args: { url, options, leaks } });
  for (const [options, kind] of [[{ path: 'evidence', addTimestamp: true }, /^evidence-\d{8}T\d{6}-/], [{}, /^OoM-pid-\d+-/]]) {
    fs.writeFileSync(directory.at('notes.heapsnapshot'), 'of somebody else');
    const dying = start(options, true);
    assert.equal((await dying.ended()).code, 1);
    assert.equal(directory.names().filter((name) => name.endsWith('.heapsnapshot')).length, 2);
    const next = start(options);
    await next.says(/^heapdump-rs\/oom: '.*\.heapsnapshot' is now at http:.*\/dumps$/m, { on: 'stderr' });
    const { name, nodes } = received.at(-1);
    assert.match(name, kind);
    assert.ok(name.includes(`-${HOST}-`) && name.endsWith('.heapsnapshot') && nodes > 10_000);
    await waitFor('the file has gone', () => directory.names().filter((file) => file.endsWith('.heapsnapshot')).length === 1);
    next.kill('SIGKILL');
    // Its JSON says where it is, and goes with this turn.
    const sidecar = directory.names().find((file) => file.endsWith('.json'));
    const said = JSON.parse(fs.readFileSync(directory.at(sidecar), 'utf8'));
    assert.deepEqual([said.reason, said.complete, said.report.nodes], ['oom', true, nodes]);
    assert.match(said.exported.location, /\/dumps$/);
    fs.unlinkSync(directory.at(sidecar));
  }
  assert.equal(received.length, 2);
});

const GOES_ON = [
  ['at the limit', { atLimit: 'wait' }, ['--max-old-space-size=64']],
  ['for a threshold', { threshold: 5, limit: 1, heapdumpOnOOM: false }, ['--max-old-space-size=256', '--expose-gc']],
];

for (const [title, more, nodeOptions] of GOES_ON) {
  test(`oom: of a process that goes on, ${title}: at once`, async (t) => {
    const directory = makeTemporaryDirectory(t);
    const { url, received } = await receive(t);
    const options = { path: 'a', ...more };
    const app = startApp(t, OOM, { cwd: directory.path, nodeOptions, args: { url, options, leaks: true } });
    await waitFor('a snapshot', () => received.length > 0);
    assert.ok(received[0].name.startsWith(`a-${HOST}-`) && received[0].nodes > 10_000);
    await app.says(/^heapdump-rs\/oom: '.*\/a\.heapsnapshot' is now at /m, { on: 'stderr' });
    await waitFor('the file has gone', () => !directory.names().includes('a.heapsnapshot'));
    assert.ok(!app.hasEnded);
  });
}

test('oom: where the store refuses, the file stays and a warning says why', async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.writeFileSync(directory.at('a.heapsnapshot'), 'left behind');
  const server = http.createServer((request, response) => response.writeHead(507).end());
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEndOf(t, () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const url = `http://127.0.0.1:${server.address().port}/`;
  const app = startApp(t, OOM, { cwd: directory.path, args: { url, options: { path: 'a' } } });
  await app.says(/ERR_HEAPDUMP_EXPORT.*HeapdumpWarning: .*a\.heapsnapshot' was not exported: .* answered 507/, { on: 'stderr' });
  assert.equal(fs.readFileSync(directory.at('a.heapsnapshot'), 'utf8'), 'left behind');
});

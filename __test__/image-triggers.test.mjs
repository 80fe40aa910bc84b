// Heap images that nobody calls for by hand: monitors, V8's limit, HTTP, exporters, `heapdump-rs/register`, node-snapshot.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { ROOT, startApp, startProgram } from './support/app.mjs';
import { runCommand } from './support/command.mjs';
import { readSidecar } from './support/evidence.mjs';
import { needsTool } from './support/faults.mjs';
import { makeTemporaryDirectory, modeOf } from './support/files.mjs';
import { ask, askWhole, AUTHORIZATION, TOKEN } from './support/http.mjs';
import { HAS_IMAGES, assertWholeImage, assertWholeImageFile, startShortOfMemory, unpacked } from './support/images.mjs';

const require = createRequire(import.meta.url);
const { readFacts } = require('../lib/cli/facts.js');

const only = { skip: HAS_IMAGES ? false : 'images are of Linux x64' };

/** Two monitors, one after the other, with a dump each; `args.options` are theirs. */
const twice = async ({ args, once, say, stayAlive }) => {
  const alive = stayAlive();
  const { monitor } = require('../../lib/monitor.js');
  for (let i = 0; i < 2; i++) {
    const watching = monitor({ rss: '10MB', interval: 20, cooldown: 0, ...args.options });
    const { report, sidecar } = await once(watching, 'snapshot');
    say('taken', { report, sidecar });
    watching.stop();
  }
  clearTimeout(alive);
  return 'done';
};

test('a monitor writes images, counts them as snapshots, and its JSON says what they are', only, async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.writeFileSync(directory.at('heap-rss-5.heapimage.zst'), 'of an earlier process');
  fs.writeFileSync(directory.at('heap-rss-5.json'), '{}');
  fs.writeFileSync(directory.at('mine.heapimage'), "the user's");
  const app = startApp(t, twice, { args: { options: { dir: directory.path, output: 'image', max: 1 } } });
  const first = JSON.parse((await app.says(/taken (.*)/))[1]);
  assert.match(path.basename(first.report.path), /^heap-rss-\d{13}\.heapimage$/);
  assert.equal(first.sidecar, first.report.path.replace('.heapimage', '.json'));
  assert.equal(await app.result(), 'done');
  const [file, sidecar, ...others] = directory.names();
  assert.deepEqual(others, ['mine.heapimage']);
  assertWholeImageFile(directory.at(file));
  assert.equal(modeOf(directory.at(file)), 0o600);
  const said = readSidecar(directory.at(sidecar));
  assert.deepEqual([said.kind, said.snapshot, said.complete], ['image', file, true]);
});

test('under a pattern a monitor knows its images by their JSON', only, async (t) => {
  const directory = makeTemporaryDirectory(t);
  const options = { dir: directory.path, output: 'image', max: 1, name: 'app-{reason}' };
  const app = startApp(t, twice, { args: { options } });
  assert.equal(await app.result(), 'done');
  const names = directory.names();
  assert.equal(names.length, 2, names.join());
  const said = readSidecar(directory.at(names.find((name) => name.endsWith('.json'))));
  assert.deepEqual([said.kind, said.name], ['image', 'app-{reason}']);
  assert.ok(names.includes(said.snapshot) && said.snapshot.endsWith('.heapimage'));
});

test('a monitor with lowMemory leaves an image where memory is short, under the name of that snapshot', only, async (t) => {
  if (!needsTool(t, 'prlimit')) return;
  const directory = makeTemporaryDirectory(t);
  const app = await startShortOfMemory(t, async ({ args, once, short, stayAlive }) => {
    const alive = stayAlive();
    const { monitor } = require('../../lib/monitor.js');
    await short();
    const watching = monitor({ every: 50, dir: args.dir, lowMemory: 'image' });
    const { report, sidecar } = await once(watching, 'snapshot');
    watching.stop();
    clearTimeout(alive);
    return { report, sidecar };
  }, { args: { dir: directory.path } });
  const { report, sidecar } = await app.result();
  assert.match(path.basename(report.path), /^heap-schedule-\d{13}\.heapimage$/);
  assert.equal(sidecar, report.path.replace('.heapimage', '.json'));
  assertWholeImageFile(report.path);
  const said = readSidecar(sidecar);
  assert.deepEqual([said.kind, said.snapshot, said.complete], ['image', path.basename(report.path), true]);
});

test("at V8's limit: oom({ output: 'image' }) leaves one and its JSON, and ends", only, async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async () => {
    require('../../lib/oom.js')({ path: 'evidence', output: 'image' });
    const kept = (globalThis.kept = []);
    for (;;) kept.push({ a: kept.length });
  }, { cwd: directory.path, nodeOptions: ['--max-old-space-size=32'] });
  const { code, stderr } = await app.ended();
  assert.equal(code, 1);
  assert.match(stderr, /^Generating Heapdump to '.*evidence\.heapimage' now\.\.\.$/m);
  assert.deepEqual(directory.names(), ['evidence.heapimage', 'evidence.heapimage.json']);
  assertWholeImageFile(directory.at('evidence.heapimage'));
  const said = readSidecar(directory.at('evidence.heapimage.json'));
  assert.deepEqual([said.reason, said.kind, said.snapshot, said.complete], ['oom', 'image', 'evidence.heapimage', true]);
});

test("at V8's limit: oom({ lowMemory: 'image' }) leaves an image where no snapshot fits", only, async (t) => {
  if (!needsTool(t, 'prlimit')) return;
  const directory = makeTemporaryDirectory(t);
  const app = await startShortOfMemory(t, async ({ fill, short }) => {
    require('../../lib/oom.js')({ path: 'evidence', lowMemory: 'image' });
    fill(60_000);
    await short();
    const kept = (globalThis.kept = []);
    for (;;) kept.push({ a: kept.length });
    // V8 takes some 40 MB of it until its heap is at the limit.
  }, { cwd: directory.path, nodeOptions: ['--max-old-space-size=32'], room: 85 });
  assert.equal((await app.ended()).code, 1);
  // The JSON is begun under the snapshot's name.
  assert.deepEqual(directory.names(), ['evidence.heapimage', 'evidence.heapsnapshot.json']);
  assertWholeImageFile(directory.at('evidence.heapimage'));
  const said = readSidecar(directory.at('evidence.heapsnapshot.json'));
  assert.deepEqual([said.kind, said.snapshot, said.complete], ['image', 'evidence.heapimage', true]);
});

test("what V8's limit left as an image is exported when the program starts again", only, async (t) => {
  const directory = makeTemporaryDirectory(t);
  const said = { snapshot: 'evidence.heapimage', kind: 'image', complete: true };
  // As lowMemory leaves it: the JSON is the snapshot's that there was no memory for.
  fs.writeFileSync(directory.at('evidence.heapimage'), 'image');
  fs.writeFileSync(directory.at('evidence.heapsnapshot.json'), JSON.stringify(said));
  const app = startApp(t, ({ args }) => {
    const { FileExporter } = require('../../lib/exporters.js');
    require('../../lib/oom.js')({ path: 'evidence', heapdumpOnOOM: false, exporter: new FileExporter({ directory: args.out }) });
  }, { cwd: directory.path, args: { out: directory.at('out') } });
  assert.equal((await app.ended()).code, 0);
  const [stored] = directory.names('out');
  assert.match(stored, /^evidence-.*\.heapimage$/);
  assert.equal(readSidecar(directory.at('evidence.heapsnapshot.json')).exported.location, directory.at('out', stored));
  assert.ok(!directory.names().includes('evidence.heapimage'));
});

test('a threshold of heapdump-rs/register and NODE_HEAPDUMP_OPTIONS=image,gzip: an image, by zstd', only, async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.writeFileSync(directory.at('app.js'), 'setInterval(() => {}, 1000);');
  const env = { NODE_HEAPDUMP_OPTIONS: `rss=10MB,interval=20ms,image,gzip,dir=${directory.at('made')}` };
  const node = [process.execPath, '--require', path.join(ROOT, 'lib/register.js'), directory.at('app.js')];
  const app = startProgram(t, node, { cwd: directory.path, env });
  const [, file] = await app.says(/^heapdump-rs: rss: (\S+) is complete/m, { on: 'stderr' });
  assert.match(file, /\/made\/heap-rss-\d+\.heapimage\.zst$/);
  assertWholeImageFile(file);
});

/** A server with a handler; `args.options` are its own. */
const serve = ({ say, args }) => {
  const options = { token: args.token, minInterval: 0, log: (entry) => say('log', entry), ...args.options };
  if (args.exportTo) options.exporter = new (require('../../lib/exporters.js').FileExporter)({ directory: args.exportTo });
  const server = require('node:http').createServer(require('../../lib/http.js').snapshotHandler(options));
  server.listen(0, '127.0.0.1', () => say('port', server.address().port));
};

async function startServer(t, args = {}) {
  const app = startApp(t, serve, { args: { token: TOKEN, ...args } });
  return { app, port: Number((await app.says(/port (\d+)/))[1]) };
}

test('HTTP: no client gets an image unless the owner says so', async (t) => {
  const { app, port } = await startServer(t);
  const { status, body } = await askWhole(port, { path: '/?output=image' });
  assert.equal(status, 403);
  assert.match(body.error, /images are off here/);
  await app.says(/log .*"status":403/);
  const plain = await ask(port, { path: '/?output=snapshot' });
  assert.deepEqual([plain.statusCode, plain.headers['x-heapdump-kind']], [200, 'snapshot']);
  plain.destroy();
  // Whoever may not come in is not told what is on or off.
  assert.equal((await askWhole(port, { path: '/?output=image', headers: {} })).status, 401);
});

test('HTTP: with images: true a client may ask for one; type and name say what it is', only, async (t) => {
  if (!needsTool(t, 'zstd')) return;
  const { app, port } = await startServer(t, { options: { images: true } });
  const response = await ask(port, { path: '/?output=image', headers: { ...AUTHORIZATION, 'accept-encoding': 'gzip' } });
  const { headers } = response;
  assert.deepEqual([response.statusCode, headers['content-encoding'], headers['x-heapdump-kind']], [200, undefined, 'image']);
  assert.match(headers['content-disposition'], /filename="heap-[\d-]+\.heapimage\.zst"$/);
  assertWholeImage(unpacked(await buffer(response)));
  await app.says(/log .*"status":200,"kind":"image"/);
});

test('HTTP: into a directory or to an exporter an image has its own name', only, async (t) => {
  const directory = makeTemporaryDirectory(t);
  for (const sub of ['files', 'out']) fs.mkdirSync(directory.at(sub));
  const options = { images: true, compress: false };
  const files = await startServer(t, { options: { ...options, directory: directory.at('files') } });
  const exported = await startServer(t, { options, exportTo: directory.at('out') });
  for (const [server, where] of [[files, 'files'], [exported, 'out']]) {
    const { status, body } = await askWhole(server.port, { path: '/?output=image' });
    assert.deepEqual([status, body.kind], [200, 'image'], JSON.stringify(body));
    assert.match(body.snapshot, new RegExp(`^${directory.at(where)}/heap-[\\d-]+\\.heapimage$`));
    assert.equal(assertWholeImageFile(body.snapshot), body.size);
  }
});

test('exportSnapshot of an image: whatever name was given, it is not called a snapshot', only, async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ args }) => {
    const { FileExporter, exportSnapshot } = require('../../lib/exporters.js');
    const exporter = new FileExporter({ directory: args.out, keep: 2 });
    const locations = [];
    for (const name of [undefined, 'a.heapsnapshot', 'b.heapsnapshot']) {
      const { location, report } = await exportSnapshot(exporter, { output: 'image', name });
      locations.push([location, report.kind]);
    }
    return locations;
  }, { args: { out: directory.at('out') } });
  const [[own, kind], [named], [last]] = await app.result();
  assert.equal(kind, 'image');
  assert.match(path.basename(own), /^heapdump-.*\.heapimage$/);
  assert.deepEqual([named, last], [directory.at('out', 'a.heapimage'), directory.at('out', 'b.heapimage')]);
  assert.deepEqual(directory.names('out'), ['a.heapimage', 'b.heapimage'], 'retention knows images');
  assertWholeImageFile(last);
});

test('exportSnapshot with lowMemory names what came', only, async (t) => {
  if (!needsTool(t, 'prlimit')) return;
  const directory = makeTemporaryDirectory(t);
  const body = async ({ args, short }) => {
    const { FileExporter, exportSnapshot } = require('../../lib/exporters.js');
    const exporter = new FileExporter({ directory: args.out });
    const before = await exportSnapshot(exporter, { lowMemory: 'image', name: 'a.heapsnapshot' });
    await short();
    const after = await exportSnapshot(exporter, { lowMemory: 'image', name: 'b.heapsnapshot' });
    return [before, after].map(({ location, report }) => [location, report.kind]);
  };
  const app = await startShortOfMemory(t, body, { args: { out: directory.at('out') } });
  assert.deepEqual(await app.result(), [
    [directory.at('out', 'a.heapsnapshot'), 'snapshot'],
    [directory.at('out', 'b.heapimage'), 'image'],
  ]);
  await validateSnapshot(directory.at('out', 'a.heapsnapshot'));
  assertWholeImageFile(directory.at('out', 'b.heapimage'));
});

const loaded = ({ heapdump, say, stayAlive }) => {
  stayAlive();
  say('ready', typeof heapdump);
};

async function startLoaded(t, words) {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, loaded, { cwd: directory.path, env: { NODE_HEAPDUMP_OPTIONS: words } });
  await app.says(/ready/);
  return { app, directory };
}

test('node-snapshot --pid: a process that was told to write images gives one', only, async (t) => {
  const { app, directory } = await startLoaded(t, 'image');
  assert.deepEqual([readFacts(app.pid).output, readFacts(app.pid).lowMemory], ['image', 'error']);
  const { code, stdout, stderr } = await runCommand(t, ['node-snapshot', '--pid', app.pid, '--output', directory.at('a.heapimage')]);
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /a\.heapimage: a heap image, complete, .*--image \S+a\.heapimage --output \S+a\.heapsnapshot/);
  assertWholeImageFile(directory.at('a.heapimage'));
  assert.deepEqual(directory.names(), ['a.heapimage'], "the process' own copy is gone");
});

test('node-snapshot --pid: what comes is named for what it is', only, async (t) => {
  const { app, directory } = await startLoaded(t, 'image,zstd');
  const { code, stdout } = await runCommand(t, ['node-snapshot', '--pid', app.pid, '--output', directory.at('a.heapsnapshot.gz')]);
  assert.equal(code, 0);
  assert.match(stdout, /\/a\.heapimage\.zst: a heap image, complete/);
  assertWholeImageFile(directory.at('a.heapimage.zst'));
  assert.deepEqual(directory.names(), ['a.heapimage.zst']);
});

test('node-snapshot --pid: a process that writes no images is not dumped for one', async (t) => {
  const { app, directory } = await startLoaded(t, 'low-memory=image');
  const refused = await runCommand(t, ['node-snapshot', '--pid', app.pid, '--output', directory.at('a.heapimage')]);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /was not told to write images: NODE_HEAPDUMP_OPTIONS=image .*low-memory=image/);
  const byInspector = startApp(t, ({ say, stayAlive }) => {
    stayAlive();
    say('ready');
  });
  await byInspector.says(/ready/);
  const other = await runCommand(t, ['node-snapshot', '--via', 'inspector', '--pid', byInspector.pid, '--output', directory.at('a.heapimage')]);
  assert.equal(other.code, 2);
  assert.match(other.stderr, /its inspector knows no images/);
  const wrong = await runCommand(t, ['node-snapshot', '--pid', app.pid, '--output', directory.at('a.heapimage.gz')]);
  assert.match(wrong.stderr, /\.heapimage\.zst/);
  assert.deepEqual(directory.names(), []);
});

test('node-snapshot --endpoint: the name asks for an image, and the server decides', only, async (t) => {
  const directory = makeTemporaryDirectory(t);
  const fetchFrom = ({ port }, name) =>
    runCommand(t, ['node-snapshot', '--endpoint', `http://127.0.0.1:${port}/heap`, '--token', TOKEN, '--output', directory.at(name)]);
  const open = await startServer(t, { options: { images: true } });
  const { code, stdout } = await fetchFrom(open, 'a.heapimage');
  assert.equal(code, 0, stdout);
  assertWholeImageFile(directory.at('a.heapimage.zst'));
  const closed = await startServer(t);
  const refused = await fetchFrom(closed, 'b.heapimage');
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /403/);
  assert.match(refused.stderr, /images are off here/);
  assert.deepEqual(directory.names(), ['a.heapimage.zst']);
});

// The analyzer through the addon: heapdump-rs/analyze and npx heapdump-rs. What it computes is tested in crates/ and
// against DevTools in analyze-oracle/.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { Session } from 'node:inspector';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

import limits from '../harness/limits.cjs';
import { ROOT } from './support/app.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';

const require = createRequire(import.meta.url);
const { open, findLeaks } = require('../lib/analyze.js');
const { writeSnapshot } = require('../lib/promises.js');

const BIN = path.join(ROOT, 'bin/heapdump-rs.js');
const command = (...args) => spawnSync(process.execPath, [BIN, ...args], { encoding: 'utf8', timeout: limits.WAIT });

class LeakedSession {
  constructor(number) {
    this.user = `user ${number}`;
  }
}

/** Three snapshots of this process, in process so that they share ids; `sessions` grows in between. */
function snapshotsOfALeak(directory) {
  const sessions = (globalThis.leakedSessions = new Map());
  return ['a', 'b', 'c'].map((name) => {
    for (let i = 0; i < 2000; i++) sessions.set(`${name}${i}`, new LeakedSession(i));
    const file = directory.at(`${name}.heapsnapshot`);
    require('node:v8').writeHeapSnapshot(file);
    return file;
  });
}

test('a snapshot is opened, summed up and asked for an object, off the main thread', async (t) => {
  const directory = makeTemporaryDirectory(t);
  globalThis.leakedSessions = [new LeakedSession(1)];
  const { path: file, nodes } = await writeSnapshot(directory.at('a.heapsnapshot'));
  const snapshot = await open(file);
  const summary = await snapshot.summary({ limit: 0 });
  assert.equal(summary.nodes, nodes);
  assert.ok(summary.classes.some(({ name, count }) => name === 'LeakedSession' && count === 1));
  const [root] = (await snapshot.dominators(undefined, { limit: 1 })).children ?? [];
  assert.ok(root === undefined || root.retainedSize > 0);
  snapshot.close();
  await assert.rejects(snapshot.summary(), { code: 'ERR_HEAPDUMP_ANALYZE', message: /closed/ });
});

test('a compressed snapshot is opened as it is', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const { path: file, nodes } = await writeSnapshot(directory.at('a.heapsnapshot'), { compress: 'zstd' });
  assert.equal((await (await open(file)).summary()).nodes, nodes);
});

test('what is no snapshot is an error that says where', async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.writeFileSync(directory.at('bad.heapsnapshot'), '{"snapshot":{"meta":');
  await assert.rejects(open(directory.at('bad.heapsnapshot')), { code: 'ERR_HEAPDUMP_ANALYZE' });
  await assert.rejects(open(directory.at('missing')), { code: 'ERR_HEAPDUMP_ANALYZE' });
  await assert.rejects(async () => open(7), TypeError);
});

test('what is something else is named, with what to do, by the commands and to programs', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const pointer = directory.at('heap.heapsnapshot.gz');
  fs.writeFileSync(pointer, gzipSync('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n'));
  await assert.rejects(open(pointer), {
    code: 'ERR_HEAPDUMP_ANALYZE', found: 'git-lfs-pointer', message: /found a Git LFS pointer, packed: .*git lfs pull/,
  });
  const empty = directory.at('empty.heapsnapshot');
  fs.writeFileSync(empty, '');
  const validated = command('validate', empty, '--json');
  assert.equal(validated.status, 2, validated.stderr);
  const { valid, found } = JSON.parse(validated.stdout);
  assert.deepEqual({ valid, found }, { valid: false, found: 'empty' });
});

test('a timeline of allocations is opened as the snapshot that it is', async (t) => {
  const file = makeTemporaryDirectory(t).at('a.heaptimeline');
  await recordTimeline(file);
  assert.match(fs.readFileSync(file, 'utf8'), /"samples":\[\d/);
  const timeline = await open(file);
  const leaked = (await timeline.summary({ filter: 'LeakedSession' })).classes[0];
  assert.equal(leaked.count, 7);
  const { nodes } = await timeline.summary();
  const strict = command('validate', file, '--json');
  assert.equal(JSON.parse(strict.stdout).nodes, nodes, strict.stderr);
});

/** As DevTools records "Allocations on timeline", with stacks. */
async function recordTimeline(file) {
  const session = new Session();
  session.connect();
  const post = promisify(session.post.bind(session));
  await post('HeapProfiler.startTrackingHeapObjects', { trackAllocations: true });
  globalThis.leakedSessions = Array.from({ length: 7 }, (_, number) => new LeakedSession(number));
  const chunks = [];
  session.on('HeapProfiler.addHeapSnapshotChunk', ({ params }) => chunks.push(params.chunk));
  await post('HeapProfiler.stopTrackingHeapObjects', { reportProgress: false });
  session.disconnect();
  fs.writeFileSync(file, chunks.join(''));
}

test('a leak is found first, from three snapshots of one process, with its path', async (t) => {
  const files = snapshotsOfALeak(makeTemporaryDirectory(t));
  const snapshots = await Promise.all(files.map((file) => open(file)));
  const found = await findLeaks(snapshots, { limit: 5 });
  const text = JSON.stringify(found);
  assert.match(text, /LeakedSession/);
  assert.match(text, /leakedSessions/);
});

test('objects are asked for: by class, condition and property, and what would be freed without them', async (t) => {
  const directory = makeTemporaryDirectory(t);
  globalThis.leakedSessions = Array.from({ length: 5 }, (_, number) => new LeakedSession(number));
  const { path: file } = await writeSnapshot(directory.at('a.heapsnapshot'));
  const snapshot = await open(file);
  const found = await snapshot.objects({
    class: /^leakedsess/i, where: 'edges > 0 and not detached', properties: ['user'], sort: 'id', limit: 2, page: 3,
  });
  assert.deepEqual([found.count, found.page, found.pages, found.objects.length], [5, 3, 3, 1]);
  const [{ id, class: name, properties, retainedSize }] = found.objects;
  assert.equal(name, 'LeakedSession');
  assert.match(properties.user.name, /^user \d$/);
  const { selection } = await snapshot.objects({ without: `@${id}` });
  assert.deepEqual([selection.without, selection.shallowSize], [1, retainedSize]);
  const freed = await snapshot.summary({ without: 'LeakedSession' });
  assert.equal(freed.classes.find((row) => row.name === 'LeakedSession').count, 5);
  const strings = await snapshot.summary({ only: 'duplicated-strings' });
  assert.ok(strings.classes.every((row) => row.name.endsWith('string)')), JSON.stringify(strings.classes));
  await assert.rejects(snapshot.objects({ where: 'retained > many' }), {
    code: 'ERR_HEAPDUMP_ANALYZE', message: /expected a size.*found 'many'\n {2}retained > many\n {13}\^$/,
  });
  assert.throws(() => snapshot.objects({ class: 7 }), TypeError);
  assert.throws(() => snapshot.summary({ only: 'none' }), TypeError);
});

test('retainers are looked at without some of them, and without what is only of V8', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const session = new LeakedSession(1);
  globalThis.leakedSessions = new Map([['one', session]]);
  globalThis.leakedSession = { session };
  const { path: file } = await writeSnapshot(directory.at('a.heapsnapshot'));
  delete globalThis.leakedSession;
  const snapshot = await open(file);
  const { objects: [{ id }] } = await snapshot.objects({ class: 'LeakedSession' });
  const of = async (options) => (await snapshot.retainers(id, options)).map(({ object }) => object);
  const holders = await of({ jsOnly: true });
  assert.ok(holders.some(({ class: name }) => name === 'Map'), JSON.stringify(holders));
  const other = holders.find(({ class: name }) => name !== 'Map');
  assert.ok(!(await of({ jsOnly: true, ignore: `@${other.id}` })).some((holder) => holder.id === other.id));
  const around = await snapshot.path(id, { jsOnly: true, ignore: [other.id] });
  assert.ok(around.steps.every(({ object }) => object.id !== other.id && !object.name.startsWith('system / ')));
  assert.equal(around.steps.at(-1).object.id, id);
});

test('the commands: answers on standard output, JSON on request, exit codes', (t) => {
  const [base, target, final] = snapshotsOfALeak(makeTemporaryDirectory(t));
  const summary = command('summary', base, '--json');
  assert.equal(summary.status, 0, summary.stderr);
  assert.ok(JSON.parse(summary.stdout));
  const compared = command('compare', base, target);
  assert.equal(compared.status, 0, compared.stderr);
  assert.match(compared.stdout, /LeakedSession/);
  const leaks = command('find-leaks', '--baseline', base, '--target', target, '--final', final);
  assert.equal(leaks.status, 0, leaks.stderr);
  assert.match(leaks.stdout, /leakedSessions/);
  assert.equal(command('summary', 'no-such-file').status, 2);
  assert.equal(command('compare', base, target, '--fail-on-growth', '0.1%').status, 1);
  assert.equal(command('--help').status, 0);
});

// heapdump-rs report: one file about snapshots, which can be handed round.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { before, after, test } from 'node:test';

import analyze from '../lib/analyze.js';
import { Answers } from '../lib/viewer/answers.js';
import { BUILT } from '../harness/viewer.mjs';
import { runCommand } from './support/command.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { HOSTILE, hostileHeap, leakingServer } from './support/heaps.mjs';

const directory = makeTemporaryDirectory();
const hostileDirectory = makeTemporaryDirectory();
let snapshots;
let hostile;

before(() => {
  snapshots = leakingServer(directory, 3);
  hostile = hostileHeap(hostileDirectory);
});
after(() => {
  directory.remove();
  hostileDirectory.remove();
});

const last = () => snapshots.at(-1);

async function report(t, args) {
  const { code, stdout, stderr } = await runCommand(t, ['report', ...args]);
  assert.equal(code, 0, stderr);
  return stdout;
}

/** What a browser would run or apply, and what the page says that it may. */
function partsOf(page) {
  const [, policy] = /<meta http-equiv="Content-Security-Policy" content="([^"]*)">/.exec(page);
  const within = (name) => [...page.matchAll(new RegExp(`<${name}>([^]*?)</${name}>`, 'g'))].map(([, text]) => text);
  return { policy, scripts: within('script'), styles: within('style') };
}

test('the viewer is small', () => {
  const bytes = ['app.js', 'app.css'].map((name) => fs.statSync(path.join(BUILT, name)).size);
  assert.ok(bytes[0] + bytes[1] <= 250_000, `${bytes}`);
});

test('a page has all that it needs within, and may run and load nothing else', async (t) => {
  const page = await report(t, [last(), '-o', '-']);
  assert.ok(page.length <= 1_000_000, `${page.length}`);
  const { policy, scripts, styles } = partsOf(page);
  assert.deepEqual([scripts.length, styles.length], [1, 1]);
  for (const text of [...scripts, ...styles]) {
    assert.ok(policy.includes(`'sha256-${createHash('sha256').update(text).digest('base64')}'`));
  }
  assert.match(policy, /^default-src 'none'; .*connect-src 'none'/);
  assert.ok(!policy.includes('unsafe'));
  // An icon that is none, so that no browser asks for one.
  const rest = page.replace('<link rel="icon" href="data:,">', '');
  assert.doesNotMatch(rest, /<(?:link|img|iframe|base)\b|@import|url\(|\bsrc=/);
});

test('its numbers are those of the other commands', async (t) => {
  const said = JSON.parse(await report(t, [last(), '--json', '-o', '-']));
  const ask = async (...words) => JSON.parse((await runCommand(t, [...words, '--json', '--limit', '0'])).stdout);
  const summary = await ask('summary', last());
  assert.equal(said.heap.summary.totalSize, summary.totalSize);
  assert.deepEqual(said.heap.summary.classes, summary.classes.slice(0, said.heap.summary.classes.length));
  // What V8 knows only the sum of hangs nowhere.
  assert.ok(said.heap.tree.size <= summary.totalSize && said.heap.tree.size > 0.95 * summary.totalSize);
  const sessions = said.heap.objects.find(({ named }) => named === '`sessions` in server.js');
  const { object } = await ask('inspect-object', last(), '--object-id', `@${sessions.object.id}`);
  assert.equal(sessions.object.retainedSize, object.retainedSize);
  assert.match(said.headline, /^\d+\.\d MB; \d+ % is held by sessions in server\.js\.$/);
});

test('every byte of the heap is in the tree once', async (t) => {
  const { heap } = JSON.parse(await report(t, [last(), '--json', '-o', '-']));
  const check = (node) => {
    const below = (node.children ?? []).reduce((sum, child) => sum + child.size, 0);
    assert.ok(node.own + below <= node.size, JSON.stringify({ ...node, children: undefined }));
    node.children?.forEach(check);
  };
  check(heap.tree);
  const shown = (heap.tree.children ?? []).reduce((sum, child) => sum + child.size, heap.tree.own);
  assert.ok(shown > 0.98 * heap.tree.size, `${shown} of ${heap.tree.size}`);
});

test('contents of strings and keys of dictionaries are not in it; --values shows them', async (t) => {
  for (const format of ['html', 'md', 'json']) {
    const hidden = await report(t, [...snapshots, '-o', '-', '--format', format]);
    assert.doesNotMatch(hidden, /example\.com|token-\d|entry number|user \d/);
    assert.match(hidden, /a string of \d+ characters/);
    assert.match(hidden, /Session/);
  }
  const shown = await report(t, [...snapshots, '-o', '-', '--format', 'json', '--values']);
  assert.match(shown, /entry number/);
});

test('text of a heap is never markup or script', async (t) => {
  const page = await report(t, [hostile, '-o', '-', '--values']);
  const plain = await report(t, [last(), '-o', '-']);
  const count = (text, what) => text.split(what).length - 1;
  for (const what of ['<script', '</script', '<!--', '<img', '<!']) assert.equal(count(page, what), count(plain, what), what);
  assert.ok(page.includes('\\u003c/script\\u003e'));
  const [, data] = /<script type="application\/json" id="report">([^]*?)<\/script>/.exec(page);
  assert.ok(JSON.stringify(JSON.parse(data)).includes(JSON.stringify(HOSTILE).slice(1, -1).slice(0, 60)));
  assert.equal(partsOf(page).scripts[0], partsOf(plain).scripts[0]);
});

test('in Markdown, text of a heap stands in code alone', async (t) => {
  const text = await report(t, [hostile, '-o', '-', '--format', 'md', '--values']);
  assert.ok(text.includes('alert(1)'));
  // CommonMark: a code span ends at a run of as many backticks as it began with.
  const outside = text.replace(/(?<!`)(`+)(?!`)[^\n]*?(?<!`)\1(?!`)/g, '');
  assert.doesNotMatch(outside, /alert|onerror|everyone|javascript|<script/);
});

test('the same snapshots give the same bytes, and so does the JSON of before', async (t) => {
  const first = await report(t, [...snapshots, '-o', '-']);
  const out = directory.at('report.json');
  await report(t, [...snapshots, '-o', out]);
  assert.equal(await report(t, [...snapshots, '-o', '-']), first);
  for (const file of [directory.at('later.html'), '-']) {
    const printed = await report(t, [out, '-o', file]);
    assert.equal(file === '-' ? printed : fs.readFileSync(file, 'utf8'), first);
  }
  assert.equal(fs.statSync(out).mode & 0o777, 0o600);
});

test('several snapshots tell what grew and what leaks; the JSON beside the last why it was taken', async (t) => {
  const record = { version: 1, reason: 'rss', time: '2026-11-21T12:03:04.5Z', pid: 17, host: 'api', node: 'v24.3.0', memory: { heapUsed: 1e6, rss: 5e6 } };
  fs.writeFileSync(last().replace('.heapsnapshot', '.json'), JSON.stringify(record));
  t.after(() => fs.rmSync(last().replace('.heapsnapshot', '.json')));
  const said = JSON.parse(await report(t, [...snapshots, '--json', '-o', '-', '--per', '1000']));
  assert.deepEqual(said.records, [null, null, record]);
  assert.deepEqual(said.trend.snapshots.map(({ time }) => time), [0, 3600, 7200]);
  assert.equal(said.trend.per, 1000);
  assert.match(said.leaks.suspects[0].sentence, /sessions/);
  assert.match(said.headline, /It grew by \d+\.\d MB over 3 snapshots\.$/);
  const markdown = await report(t, [...snapshots, '-o', '-', '--format', 'md']);
  assert.match(markdown, /taken: `2026-11-21T12:03:04\.5Z`, because of `rss`/);
  assert.match(markdown, /## What leaks\n\n1\. .*\n {3}- held by `server\.js: sessions/);
});

test('what leaks is told by the counts of all snapshots, of many by the first and the last, and by their number of steps', async (t) => {
  const longer = makeTemporaryDirectory(t);
  const six = leakingServer(longer, 6);
  const what = async (files) => JSON.parse(await report(t, [...files, '--json', '-o', '-'])).leaks.suspects.map((suspect) => suspect.what);
  const ofFour = await what(six.slice(0, 4));
  assert.match(ofFour[0], /^3,000 more Session objects .* \(1,000 → 2,000 → 3,000 → 4,000\) retain 4\.3 MB more, about 1\.4 MB from one snapshot to the next$/);
  assert.match((await what(six))[0], /^5,000 more Session objects .* \(1,000 → … → 6,000\) retain 7\.1 MB more, about 1\.4 MB from one snapshot to the next$/);
  const { document } = await new Answers(six.slice(0, 4), six.slice(0, 4)).loaded;
  assert.deepEqual(document.leaks.suspects.map((suspect) => suspect.what), ofFour, 'the viewer says the same');
});

test('heapdump-rs/analyze says the same, and how far the loading is', async (t) => {
  const read = [];
  const [first, second] = await Promise.all(snapshots.slice(-2).map((file) => analyze.open(file, { onProgress: (bytes) => read.push(bytes) })));
  const said = JSON.parse(await report(t, [...snapshots.slice(-2), '--json', '-o', '-']));
  assert.deepEqual(await second.report(), said.heap);
  const [{ object }] = said.heap.objects;
  const page = await second.page(object.id, { limit: 20 });
  assert.deepEqual([page.object, page.keeps, page.named], [object, said.heap.objects[0].keeps, said.heap.objects[0].named]);
  assert.deepEqual(await second.tree(), said.heap.tree);
  const trend = await analyze.trend([first, second], { files: snapshots.slice(-2), limit: 40 });
  assert.deepEqual(trend.groups.map(({ growth }) => growth), said.trend.groups.map(({ growth }) => growth));
  assert.ok(read.every((bytes) => bytes >= 0 && bytes <= fs.statSync(last()).size));
  assert.throws(() => second.tree({ by: 'x' }), TypeError);
  await assert.rejects(second.tree({ within: ['x'] }), /no part of the tree/);
  await assert.rejects(analyze.trend([second]), TypeError);
  first.close();
  second.close();
});

test('a report is never too large', async (t) => {
  const said = JSON.parse(await report(t, [last(), '--json', '-o', '-']));
  const [page] = said.heap.objects;
  said.heap.objects = Array.from({ length: 400 }, () => page);
  fs.writeFileSync(directory.at('large.json'), JSON.stringify(said));
  const printed = await report(t, [directory.at('large.json'), '-o', '-']);
  assert.ok(printed.length <= 1_000_000 && printed.length > 100_000, `${printed.length}`);
});

test('what cannot be used is said', async (t) => {
  const refused = async (...args) => {
    const { code, stderr } = await runCommand(t, ['report', ...args]);
    assert.equal(code, 2, stderr);
    return stderr;
  };
  fs.writeFileSync(directory.at('other.json'), '{"command":"summary"}');
  assert.match(await refused(), /which snapshot\?/);
  assert.match(await refused(last()), /where to\?/);
  assert.match(await refused(last(), '-o', 'report.pdf'), /must end in \.html, \.md or \.json/);
  assert.match(await refused(directory.at('none.heapsnapshot'), '-o', '-'), /none\.heapsnapshot/);
  assert.match(await refused(directory.at('none.json'), '-o', '-'), /there is no such file/);
  assert.match(await refused(directory.at('other.json'), '-o', '-'), /it is no report/);
  assert.match(await refused(directory.at('server.js'), '-o', '-'), /server\.js/);
  assert.match(await refused(last(), '-o', directory.at('none/report.html')), /cannot write/);
});

test('an older file stays, unless --force', async (t) => {
  const record = directory.at('record.json');
  fs.writeFileSync(record, '{"trigger":"rss"}');
  const { code, stderr } = await runCommand(t, ['report', last(), '-o', record]);
  assert.equal(code, 2);
  assert.match(stderr, /record\.json is there already; --force replaces it/);
  assert.equal(fs.readFileSync(record, 'utf8'), '{"trigger":"rss"}');
  await report(t, [last(), '-o', record, '--force']);
  assert.match(fs.readFileSync(record, 'utf8'), /"heap"/);
});

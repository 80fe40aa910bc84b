// The judge of all other tests must itself be strict.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { Readable } from 'node:stream';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import v8 from 'node:v8';
import zlib from 'node:zlib';

import { SnapshotScanner } from '../harness/scanner.mjs';
import { canReadZstd, InvalidSnapshot, validateSnapshot, validateStream } from '../harness/validate.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';

const directory = makeTemporaryDirectory();
after(() => directory.remove());
const original = directory.at('original.heapsnapshot');
v8.writeHeapSnapshot(original);
const bytes = fs.readFileSync(original);

const validateBytes = (...chunks) => validateStream(Readable.from(chunks));
const replaceFirst = (from, to) => Buffer.from(bytes.toString('latin1').replace(from, to), 'latin1');
const invalid = (buffer, message) =>
  assert.rejects(validateBytes(buffer), (error) => error instanceof InvalidSnapshot && message.test(error.message));

test("a snapshot of V8's own is valid and its counts are those of JSON.parse", async () => {
  const snapshot = JSON.parse(bytes);
  const counts = await validateSnapshot(original);
  assert.equal(counts.bytes, bytes.length);
  assert.equal(counts.nodes * snapshot.snapshot.meta.node_fields.length, snapshot.nodes.length);
  assert.equal(counts.edges * snapshot.snapshot.meta.edge_fields.length, snapshot.edges.length);
  assert.equal(counts.strings, snapshot.strings.length);
  assert.deepEqual(counts.header, snapshot.snapshot);
});

test('strings and rows are handed out as they are in the file', async () => {
  const snapshot = JSON.parse(bytes);
  const nodes = [];
  const edges = [];
  const { stringTable } = await validateSnapshot(original, {
    strings: true,
    onNode: (row) => nodes.push(...row),
    onEdge: (row) => edges.push(...row),
  });
  assert.deepEqual(stringTable, snapshot.strings);
  assert.deepEqual(nodes, snapshot.nodes);
  assert.deepEqual(edges, snapshot.edges);
});

test('chunks of any size give the same counts', async () => {
  const whole = await validateBytes(bytes);
  for (const size of [1, 7, 4093]) {
    const scanner = new SnapshotScanner();
    for (let at = 0; at < bytes.length; at += size) scanner.write(bytes.subarray(at, at + size));
    assert.deepEqual(scanner.end(), whole, `${size}`);
  }
});

test('a file that ends early is not valid, wherever it ends', async () => {
  const ends = [0, 1, 100, 1000, bytes.indexOf('"edges":[') - 3, bytes.indexOf('"edges":[') + 100];
  ends.push(bytes.indexOf('"strings":['), bytes.indexOf('"strings":[') + 50, bytes.lastIndexOf('}'), bytes.lastIndexOf(']'));
  for (let part = 1; part < 20; part++) ends.push(Math.floor((bytes.length * part) / 20));
  for (const end of ends) await invalid(bytes.subarray(0, end), /ends early|no "nodes"/);
});

test('a file that goes on behind its end is not valid', async () => {
  await invalid(Buffer.concat([bytes, Buffer.from('x')]), /behind the end/);
  await invalid(Buffer.concat([bytes, bytes]), /behind the end/);
});

test('wrong counts in the header are seen', async () => {
  await invalid(replaceFirst(/"node_count":(\d+)/, (_, n) => `"node_count":${+n + 1}`), /nodes, \d+ in the header/);
  await invalid(replaceFirst(/"edge_count":(\d+)/, (_, n) => `"edge_count":${n - 1}`), /edges, \d+ in the header/);
  await invalid(replaceFirst(/"node_count":\d+/, '"node_count":0'), /a count in the header is 0/);
});

test('wrong rows are seen', async () => {
  await invalid(replaceFirst('"nodes":[', '"nodes":[7,'), /last row of "nodes"|node type|edges/);
  await invalid(replaceFirst('"nodes":[', '"nodes":[99'), /node type 99/);
  await invalid(replaceFirst('"edges":[', '"edges":[,'), /a number is missing/);
  await invalid(replaceFirst('"edges":[', '"edges":[1 2'), /a space inside a number/);
  await invalid(replaceFirst('"edges":[', '"edges":[-'), /byte 0x2d among numbers/);
  await invalid(replaceFirst(/"edges":\[(\d+),(\d+),(\d+)/, '"edges":[$1,$2,1'), /an edge to 1, which is no node/);
  await invalid(replaceFirst(/"edges":\[(\d+),(\d+),(\d+)/, '"edges":[$1,$2,999999999'), /an edge to 999999999/);
  await invalid(replaceFirst(/"edges":\[(\d+),(\d+)/, '"edges":[2,99999999'), /string 99999999 of/);
});

test('an edge that is nobody’s is seen', async () => {
  const { snapshot } = JSON.parse(bytes);
  const field = snapshot.meta.node_fields.indexOf('edge_count');
  const row = new RegExp(`"nodes":\\[((?:\\d+,){${field}})(\\d+)`);
  await invalid(replaceFirst(row, (_, head, n) => `"nodes":[${head}${+n + 1}`), /nodes own \d+ edges/);
});

test('wrong strings and sections are seen', async () => {
  await invalid(replaceFirst('"strings":["', '"strings":["\\x'), /unknown escape/);
  await invalid(replaceFirst('"strings":["', '"strings":["\\u12g4'), /broken \\u escape/);
  await invalid(replaceFirst('"strings":["', '"strings":["\n'), /control character/);
  await invalid(replaceFirst('"strings":[', '"strings":[,'), /between strings/);
  await invalid(replaceFirst('"strings":[', '"locations":['), /a second "locations"|between sections|no section/);
  await invalid(replaceFirst('"edges":[', 'edges:['), /between sections/);
});

test('compressed files are read, and their truncated copies are not valid', async (t) => {
  const plain = await validateSnapshot(original);
  const gz = directory.at('a.gz');
  fs.writeFileSync(gz, zlib.gzipSync(bytes));
  assert.deepEqual(await validateSnapshot(gz), plain);
  fs.truncateSync(gz, fs.statSync(gz).size - 20);
  await assert.rejects(validateSnapshot(gz));

  if (!canReadZstd() || spawnSync('zstd', ['-q', original, '-o', directory.at('a.zst')]).status !== 0) {
    t.diagnostic('zstd was not checked: there is no zstd here');
    return;
  }
  assert.deepEqual(await validateSnapshot(directory.at('a.zst')), plain);
  fs.truncateSync(directory.at('a.zst'), fs.statSync(directory.at('a.zst')).size - 20);
  await assert.rejects(validateSnapshot(directory.at('a.zst')));
});

test('the command line prints the counts', () => {
  const validator = fileURLToPath(new URL('../harness/validate.mjs', import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, [validator, original], { encoding: 'utf8' });
  assert.equal(status, 0);
  assert.match(stdout, /nodes: \d+/);
});

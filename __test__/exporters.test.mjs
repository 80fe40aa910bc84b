// heapdump-rs/exporters without a vendor's SDK: the contract, files with retention, the webhook, and what an absent SDK
// says. Object storage is tested against real servers by test:exporters.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';

import { validateSnapshot, validateStream } from '../harness/validate.mjs';
import { startApp } from './support/app.mjs';
import { needingNames } from './support/faults.mjs';
import { atEndOf, makeTemporaryDirectory, modeOf } from './support/files.mjs';
import { childrenOf, goneAfter, snapshotChildOf, waitFor } from './support/processes.mjs';

const require = createRequire(import.meta.url);
const { Exporter, FileExporter, S3Exporter, AzureBlobExporter, GCSExporter, WebhookExporter } = require('../lib/exporters.js');

const TEXT = 'what a child wrote '.repeat(50_000);
const source = () => Readable.from([TEXT.slice(0, 1000), TEXT.slice(1000)].map((part) => Buffer.from(part)));
const sha256 = (data) => crypto.createHash('sha256').update(data).digest('hex');

/** A server that answers as `answer(request, response, body)` says, to each request in turn; `requests` holds them. */
async function receive(t, answer) {
  const requests = [];
  const server = http.createServer(async (request, response) => {
    const body = await buffer(request).catch(() => undefined);
    requests.push({ method: request.method, headers: request.headers, trailers: request.trailers, body });
    answer(response, requests.length, request);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEndOf(t, () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${server.address().port}/hook?key=secret`, requests };
}

test('the contract: a path, a function or a Readable, and {location, bytes, sha256}', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const exporter = new FileExporter({ directory: directory.at('out') });
  const file = directory.at('given.heapsnapshot');
  fs.writeFileSync(file, TEXT);
  for (const each of [file, new URL(`file://${file}`), source, source()]) {
    const name = each === file || each instanceof URL ? undefined : 'given.heapsnapshot';
    const { location, ...rest } = await exporter.export(each, { name });
    assert.equal(location, directory.at('out', 'given.heapsnapshot'));
    assert.deepEqual(rest, { bytes: TEXT.length, sha256: sha256(TEXT) });
    assert.equal(fs.readFileSync(location, 'utf8'), TEXT);
    assert.equal(modeOf(location), 0o600);
    fs.rmSync(location);
  }
  assert.equal(modeOf(directory.at('out')), 0o700);
  const { location } = await exporter.export(source);
  assert.match(location, /heapdump-[\w.-]+-\d+-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z-\d+\.heapsnapshot$/);
});

test('wrong sources, names and options are told', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const exporter = new FileExporter({ directory: directory.path });
  for (const wrong of [undefined, 5, {}, () => 'text']) {
    await assert.rejects(exporter.export(wrong, { name: 'a' }), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  for (const name of ['../a', 'a/b', 'a\\b', '..', '', 'a\0b', 'x'.repeat(256)]) {
    await assert.rejects(exporter.export(source, { name }), { code: 'ERR_INVALID_ARG_VALUE' });
  }
  assert.throws(() => new FileExporter({ keep: 0 }), { code: 'ERR_INVALID_ARG_VALUE' });
  assert.throws(() => new FileExporter({ maxAge: -1 }), { code: 'ERR_INVALID_ARG_VALUE' });
  // Others' files lie in the directory for temporary ones.
  for (const retention of [{ keep: 3 }, { maxAge: 1000 }]) {
    assert.throws(() => new FileExporter(retention), { code: 'ERR_INVALID_ARG_VALUE', message: /"directory"/ });
  }
  assert.throws(() => new S3Exporter({}), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => new S3Exporter({ bucket: 'a', params: { ACL: 'public-read' } }), { code: 'ERR_INVALID_ARG_VALUE' });
  assert.throws(() => new AzureBlobExporter({ container: 'a' }), { code: 'ERR_INVALID_ARG_VALUE' });
  assert.throws(() => new GCSExporter(), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => new WebhookExporter({ url: 'ftp://a.example' }), { code: 'ERR_INVALID_ARG_VALUE' });
  assert.throws(() => new WebhookExporter({ url: 'http://a.example' }), { code: 'ERR_INVALID_ARG_VALUE' });
  assert.ok(new WebhookExporter({ url: 'http://a.example', insecure: true }) instanceof Exporter);
  assert.deepEqual(directory.names(), []);
});

test('a source that fails leaves no file, and its own error', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const exporter = new FileExporter({ directory: directory.path });
  fs.writeFileSync(directory.at('a.heapsnapshot'), 'the old one');
  const failing = () => Readable.from((async function* () {
    yield Buffer.from('a beginning');
    throw Object.assign(new Error('the child died'), { code: 'ERR_HEAPDUMP_CHILD_KILLED' });
  })());
  await assert.rejects(exporter.export(failing, { name: 'a.heapsnapshot' }), { code: 'ERR_HEAPDUMP_CHILD_KILLED' });
  await assert.rejects(exporter.export(directory.at('missing'), { name: 'a.heapsnapshot' }), { code: 'ENOENT' });
  assert.deepEqual(directory.names(), ['a.heapsnapshot']);
  assert.equal(fs.readFileSync(directory.at('a.heapsnapshot'), 'utf8'), 'the old one');
});

test("a store's failure is ERR_HEAPDUMP_EXPORT with its cause", async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.writeFileSync(directory.at('file'), '');
  const exporter = new FileExporter({ directory: directory.at('file') });
  await assert.rejects(exporter.export(source, { name: 'a' }), (error) => {
    assert.deepEqual([error.code, error.exporter, error.cause.code], ['ERR_HEAPDUMP_EXPORT', 'FileExporter', 'EEXIST']);
    return true;
  });
});

test('retention: the newest stay, and only what exporters write is ever removed', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const past = (name, seconds) => {
    fs.writeFileSync(directory.at(name), '');
    const time = Date.now() / 1000 - seconds;
    fs.utimesSync(directory.at(name), time, time);
  };
  past('1.heapsnapshot', 500);
  past('2.heapsnapshot.gz', 400);
  past('3.cpuprofile', 300);
  past('notes.txt', 9000);
  fs.mkdirSync(directory.at('a.heapsnapshot'));
  fs.symlinkSync('notes.txt', directory.at('link.heapsnapshot'));
  const spared = ['a.heapsnapshot', 'link.heapsnapshot', 'notes.txt'];
  await new FileExporter({ directory: directory.path, keep: 3 }).export(source, { name: '4.heapsnapshot' });
  assert.deepEqual(directory.names(), ['2.heapsnapshot.gz', '3.cpuprofile', '4.heapsnapshot', ...spared].sort());
  await new FileExporter({ directory: directory.path, maxAge: 350_000 }).export(source, { name: '5.heapsnapshot' });
  assert.deepEqual(directory.names(), ['3.cpuprofile', '4.heapsnapshot', '5.heapsnapshot', ...spared].sort());
});

test('what a killed export left goes, and one that is under way stays', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ args, say }) => {
    const { Readable } = require('node:stream');
    const { FileExporter } = require('../../lib/exporters.js');
    const source = Readable.from(async function* () {
      yield Buffer.from('the beginning');
      say('begun');
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    }());
    await new FileExporter({ directory: args.directory }).export(source, { name: 'never' });
  }, { args: { directory: directory.path }, via: needingNames(t) ?? [] });
  await app.says(/begun/);
  const before = directory.names();
  const other = { directory: directory.path };
  await new FileExporter(other).export(source, { name: '1.heapsnapshot' });
  assert.deepEqual(directory.names(), [...before, '1.heapsnapshot'].sort());
  app.kill('SIGKILL');
  await app.ended();
  // Once in a process.
  startApp(t, ({ args, stayAlive }) => {
    stayAlive();
    const { FileExporter } = require('../../lib/exporters.js');
    new FileExporter({ directory: args.directory }).export(args.file, { name: '2.heapsnapshot' });
  }, { args: { ...other, file: directory.at('1.heapsnapshot') } });
  await waitFor('it is gone', () => directory.names().join() === '1.heapsnapshot,2.heapsnapshot');
});

test('a snapshot goes to an exporter piece by piece, with its report', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ fill, args }) => {
    const { FileExporter, exportSnapshot } = require('../../lib/exporters.js');
    fill(10_000);
    const exporter = new FileExporter({ directory: args.directory });
    return [await exportSnapshot(exporter, { compress: 'gzip' }), await exportSnapshot(exporter, { name: 'b.heapsnapshot' })];
  }, { args: { directory: directory.path } });
  const [compressed, plain] = await app.result();
  assert.match(compressed.location, /\.heapsnapshot\.gz$/);
  assert.equal(plain.location, directory.at('b.heapsnapshot'));
  for (const { location, bytes, sha256: digest, report } of [compressed, plain]) {
    assert.equal(report.mode, 'fork');
    assert.equal(bytes, report.bytes);
    assert.equal(digest, sha256(fs.readFileSync(location)));
    assert.equal((await validateSnapshot(location)).nodes, report.nodes);
  }
});

test('an aborted export ends the child and leaves nothing', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ fill, args, plain }) => {
    const { FileExporter, exportSnapshot } = require('../../lib/exporters.js');
    fill(100_000);
    const controller = new AbortController();
    process.once('SIGHUP', () => controller.abort(new Error('enough')));
    const exporter = new FileExporter({ directory: args.directory });
    const error = await exportSnapshot(exporter, { signal: controller.signal }).catch((error) => error);
    return plain(error);
  }, { args: { directory: directory.path } });
  const child = await snapshotChildOf(app);
  app.kill('SIGHUP');
  const { code, cause } = await app.result();
  assert.deepEqual([code, cause?.message], ['ABORT_ERR', 'enough']);
  await goneAfter(child);
  assert.deepEqual(directory.names(), []);
});

test('webhook: one streamed POST, its digest in a trailer; of a file its length and digest first', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const { url, requests } = await receive(t, (response) => response.writeHead(201, { location: '/stored/1' }).end());
  const exporter = new WebhookExporter({ url, headers: { authorization: 'Bearer x' } });
  const { location, bytes, sha256: digest } = await exporter.export(source, { name: 'a.heapsnapshot' });
  assert.equal(location, url.replace('/hook?key=secret', '/stored/1'));
  assert.deepEqual([bytes, digest], [TEXT.length, sha256(TEXT)]);
  const wanted = `sha-256=:${Buffer.from(digest, 'hex').toString('base64')}:`;
  const [streamed] = requests;
  assert.equal(streamed.method, 'POST');
  assert.equal(streamed.body.toString(), TEXT);
  assert.equal(streamed.headers['content-type'], 'application/octet-stream');
  assert.equal(streamed.headers['x-heapdump-name'], 'a.heapsnapshot');
  assert.equal(streamed.headers.authorization, 'Bearer x');
  assert.equal(streamed.headers['transfer-encoding'], 'chunked');
  assert.equal(streamed.trailers['content-digest'], wanted);

  fs.writeFileSync(directory.at('b.heapsnapshot.gz'), TEXT);
  await exporter.export(directory.at('b.heapsnapshot.gz'));
  const [, ofFile] = requests;
  assert.equal(ofFile.headers['content-length'], String(TEXT.length));
  assert.equal(ofFile.headers['content-digest'], wanted);
  assert.equal(ofFile.headers['content-type'], 'application/gzip');
  assert.equal(ofFile.headers['x-heapdump-name'], 'b.heapsnapshot.gz');
});

test('webhook: tried again after 503 and a broken connection, where the source can be', async (t) => {
  const { url, requests } = await receive(t, (response, count) => {
    if (count === 1) response.writeHead(503, { 'retry-after': '0' }).end();
    else if (count === 2) response.destroy();
    else response.end();
  });
  const exporter = new WebhookExporter({ url });
  const { location } = await exporter.export(source, { name: 'a' });
  assert.equal(location, url.replace('?key=secret', ''));
  assert.equal(requests.length, 3);
  assert.equal(requests[2].body.toString(), TEXT);

  const once = await receive(t, (response) => response.writeHead(503, { 'retry-after': '0' }).end());
  await assert.rejects(new WebhookExporter({ url: once.url }).export(source(), { name: 'a' }), { status: 503 });
  assert.equal(once.requests.length, 1);
});

test('webhook: a refusal ends it at once, and the child with it', async (t) => {
  const server = http.createServer((request, response) => response.writeHead(413).end());
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEndOf(t, () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const app = startApp(t, async ({ fill, args, plain, heapdump }) => {
    const { WebhookExporter, exportSnapshot } = require('../../lib/exporters.js');
    fill(100_000);
    const error = await exportSnapshot(new WebhookExporter({ url: args.url }), { name: 'a' }).catch((error) => error);
    while (heapdump.getStatus().inProgress) await new Promise(setImmediate);
    return { ...plain(error), status: error.status };
  }, { args: { url: `http://127.0.0.1:${server.address().port}/` } });
  const { code, status, message } = await app.result();
  assert.deepEqual([code, status], ['ERR_HEAPDUMP_EXPORT', 413]);
  assert.match(message, /^WebhookExporter: 127\.0\.0\.1:\d+ answered 413$/);
  assert.deepEqual(childrenOf(app.pid), []);
});

test('webhook: a snapshot arrives whole', async (t) => {
  let counts;
  const server = http.createServer(async (request, response) => {
    counts = await validateStream(request, { extension: 'gz' });
    response.end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEndOf(t, () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const app = startApp(t, async ({ fill, args }) => {
    const { WebhookExporter, exportSnapshot } = require('../../lib/exporters.js');
    fill(20_000);
    return exportSnapshot(new WebhookExporter({ url: args.url }), { compress: 'gzip' });
  }, { args: { url: `http://127.0.0.1:${server.address().port}/` } });
  const { report } = await app.result();
  assert.deepEqual([counts.nodes, counts.edges], [report.nodes, report.edges]);
});

test('an SDK that is not installed is told by its name, and before anything is dumped', async () => {
  let opened = 0;
  const counted = () => {
    opened += 1;
    return source();
  };
  const absent = [
    [new S3Exporter({ bucket: 'a' }), ['@aws-sdk/lib-storage', '@aws-sdk/client-s3']],
    [new AzureBlobExporter({ url: 'https://a.example', container: 'a' }), ['@azure/storage-blob']],
    [new GCSExporter({ bucket: 'a' }), ['@google-cloud/storage']],
  ];
  for (const [exporter, packages] of absent) {
    for (const call of [() => exporter.prepare(), () => exporter.export(counted, { name: 'a' })]) {
      await assert.rejects(call, (error) => {
        assert.deepEqual([error.code, error.packages], ['ERR_HEAPDUMP_MISSING_PEER', packages]);
        assert.match(error.message, /npm install @/);
        return true;
      });
    }
  }
  assert.equal(opened, 0);
});

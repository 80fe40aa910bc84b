// Every store: a snapshot of several parts arrives whole and private without a temporary file, and what ends half-way
// leaves neither an object nor parts of one.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { spawn } from 'node:child_process';

import limits from '../../harness/limits.cjs';
import { validateStream } from '../../harness/validate.mjs';
import { ROOT, startProgram } from '../support/app.mjs';
import { atEndOf, makeTemporaryDirectory } from '../support/files.mjs';
import { childrenOf, goneAfter, snapshotChildOf, waitFor } from '../support/processes.mjs';

const CACHE = process.env.EXPORTERS_CACHE;
const PYTHON = path.join(CACHE, 'python/bin/python');
const require = createRequire(path.join(CACHE, 'app.cjs'));
const COUNT = 120_000;
/** Less than the snapshot, more than one part. */
const CUT_AT = 12 << 20;

const stores = [s3(), azure(), gcs()];
const directory = makeTemporaryDirectory();

for (const store of stores) {
  describe(store.kind, () => {
    before(() => store.start(), { timeout: limits.WAIT });
    after(() => store.stop());

    test('a snapshot of several parts arrives whole, and nothing lands on disk', async (t) => {
      const temporary = makeTemporaryDirectory(t);
      const app = exportFrom(t, store, { call: { name: 'a.heapsnapshot' } }, { env: { TMPDIR: temporary.path }, cwd: temporary.path });
      const { location, bytes, sha256, report } = await exported(app);
      assert.equal(location, store.locationOf('a.heapsnapshot'));
      assert.ok(bytes > 2 * CUT_AT, `${bytes} bytes`);
      const hash = createHash('sha256');
      const object = await store.read('a.heapsnapshot');
      object.on('data', (chunk) => hash.update(chunk));
      const counts = await validateStream(object);
      assert.deepEqual([counts.bytes, counts.nodes, counts.edges], [bytes, report.nodes, report.edges]);
      assert.equal(hash.digest('hex'), sha256);
      assert.deepEqual(temporary.names(), []);
    });

    test('a compressed one, smaller than a part, is private', async (t) => {
      const proxy = await startProxy(t, store.port, () => false);
      const options = store.withPort(proxy.port);
      const app = exportFrom(t, store, { count: 100, options, call: { compress: 'gzip', name: 'b.heapsnapshot.gz' } });
      const { bytes } = await exported(app);
      assert.ok(bytes < 5 << 20);
      await validateStream(await store.read('b.heapsnapshot.gz'), { extension: 'gz' });
      await store.checkPrivate('b.heapsnapshot.gz', proxy.requests);
    });

    test('a child that dies half-way leaves no object and no part of one', async (t) => {
      const app = exportFrom(t, store, { cutAt: CUT_AT, call: { name: 'c.heapsnapshot' } });
      assert.equal((await app.returned()).code, 'ERR_HEAPDUMP_CHILD_KILLED');
      await store.checkAbsent('c.heapsnapshot');
    });

    test('an aborted export ends the child and leaves nothing', async (t) => {
      const app = exportFrom(t, store, { call: { name: 'd.heapsnapshot' } });
      const child = await snapshotChildOf(app);
      app.kill('SIGHUP');
      assert.equal((await app.returned()).code, 'ABORT_ERR');
      await goneAfter(child);
      await store.checkAbsent('d.heapsnapshot');
      assert.deepEqual(childrenOf(app.pid), []);
    });

    test('what the store refuses is ERR_HEAPDUMP_EXPORT', async (t) => {
      const app = exportFrom(t, store, { count: 100, options: store.missing, call: { name: 'e.heapsnapshot' } });
      const { code, message, cause } = await app.returned();
      assert.equal(code, 'ERR_HEAPDUMP_EXPORT', message);
      assert.ok(message.startsWith(`${store.kind}: `) && message.endsWith(cause));
      assert.match(message, store.saysMissing);
    });

    test('what fails on the way is sent again: the beginning of an upload, and parts', async (t) => {
      const proxy = await startProxy(t, store.port, ({ method }, count) => store.failures[method]?.includes(count));
      const app = exportFrom(t, store, { options: store.withPort(proxy.port), call: { name: 'f.heapsnapshot' } });
      const { bytes } = await exported(app);
      assert.equal(proxy.failed(), Object.values(store.failures).flat().length);
      assert.equal((await validateStream(await store.read('f.heapsnapshot'))).bytes, bytes);
    });
  });
}

after(() => directory.remove());

function exportFrom(t, store, { options = store.options, count = COUNT, ...rest }, more) {
  const job = JSON.stringify({ root: ROOT, kind: store.kind, options, count, ...rest });
  return startProgram(t, [process.execPath, '--max-old-space-size=512', path.join(CACHE, 'app.cjs'), job], more);
}

async function exported(app) {
  const value = await app.returned();
  assert.equal(value.code, undefined, value.message);
  return value;
}

/** Passes everything on, and says what it was; but answers 503 to what `fails(request, count)` picks, the `count`th of its method. */
async function startProxy(t, target, fails) {
  let failed = 0;
  const requests = [];
  const server = http.createServer((request, response) => {
    requests.push({ method: request.method, url: new URL(request.url, 'http://store'), headers: request.headers });
    if (fails(request, requests.filter(({ method }) => method === request.method).length)) {
      failed += 1;
      request.resume().once('end', () => response.writeHead(503).end());
      return;
    }
    const { method, url, headers } = request;
    const onward = http.request({ host: '127.0.0.1', port: target, method, path: url, headers, agent: false }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEndOf(t, () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { port: server.address().port, failed: () => failed, requests };
}

/** A server of its own process, on a free port, once it answers. */
async function startServer(command, args, env = {}) {
  const server = spawn(command, args, { stdio: 'ignore', cwd: directory.path, env: { ...process.env, ...env } });
  return server;
}

async function freePort() {
  const server = http.createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const answers = (port) =>
  waitFor(`a server on port ${port}`, () => fetch(`http://127.0.0.1:${port}/`).then(() => true, () => false));

function s3() {
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const bucket = 'dumps';
  let server;
  let client;
  return {
    kind: 'S3Exporter',
    saysMissing: /The specified bucket does not exist/,
    failures: { POST: [1], PUT: [1, 2] },
    async start() {
      this.port = await freePort();
      server = await startServer(PYTHON, ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(this.port)]);
      await answers(this.port);
      this.options = this.withPort(this.port);
      this.missing = { ...this.options, bucket: 'no-such-bucket' };
      const { S3Client, CreateBucketCommand } = require('@aws-sdk/client-s3');
      client = new S3Client(this.options.clientOptions);
      await client.send(new CreateBucketCommand({ Bucket: bucket }));
    },
    stop() {
      client.destroy();
      server.kill();
    },
    withPort: (port) => ({
      bucket,
      prefix: 'app/',
      partSize: 5 << 20,
      clientOptions: { region: 'us-east-1', endpoint: `http://127.0.0.1:${port}`, forcePathStyle: true, credentials },
    }),
    locationOf: (name) => `s3://${bucket}/app/${name}`,
    async read(name) {
      const { GetObjectCommand, HeadObjectCommand } = require('@aws-sdk/client-s3');
      const key = { Bucket: bucket, Key: `app/${name}` };
      const head = await client.send(new HeadObjectCommand({ ...key, ChecksumMode: 'ENABLED' }));
      assert.ok(head.ChecksumSHA256, 'the server knows a checksum');
      return (await client.send(new GetObjectCommand(key))).Body;
    },
    /** Of one part: moto answers 500 to this of several. */
    async checkPrivate(name, requests) {
      assert.ok(requests.length > 0 && requests.every(({ headers }) => headers['x-amz-acl'] === undefined));
      const { GetObjectAclCommand } = require('@aws-sdk/client-s3');
      const { Grants } = await client.send(new GetObjectAclCommand({ Bucket: bucket, Key: `app/${name}` }));
      assert.deepEqual(Grants.map(({ Grantee }) => Grantee.Type), ['CanonicalUser']);
    },
    async checkAbsent(name) {
      const { ListMultipartUploadsCommand, ListObjectsV2Command } = require('@aws-sdk/client-s3');
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
      assert.ok(!Contents.some(({ Key }) => Key.endsWith(name)));
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
      assert.deepEqual(Uploads, []);
    },
  };
}

function azure() {
  const account = 'devstoreaccount1';
  // Azurite's well-known key, the same everywhere.
  const key = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';
  let server;
  let container;
  const connect = (port) =>
    `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${key};BlobEndpoint=http://127.0.0.1:${port}/${account};`;
  return {
    kind: 'AzureBlobExporter',
    saysMissing: /The specified container does not exist/,
    /** It has no other requests. */
    failures: { PUT: [1, 2] },
    async start() {
      this.port = await freePort();
      const script = path.join(CACHE, 'node_modules/azurite/dist/src/blob/main.js');
      const args = ['--blobPort', String(this.port), '--silent', '--disableTelemetry', '--skipApiVersionCheck', '-l', directory.path];
      server = await startServer(process.execPath, [script, ...args]);
      await answers(this.port);
      this.options = this.withPort(this.port);
      this.missing = { ...this.options, container: 'missing' };
      const { BlobServiceClient } = require('@azure/storage-blob');
      container = BlobServiceClient.fromConnectionString(connect(this.port)).getContainerClient('dumps');
      await container.create();
    },
    stop: () => server.kill(),
    withPort: (port) => ({ connectionString: connect(port), container: 'dumps', prefix: 'app/', blockSize: 5 << 20 }),
    locationOf(name) {
      return `http://127.0.0.1:${this.port}/${account}/dumps/app/${name}`;
    },
    async read(name) {
      const { readableStreamBody, contentMD5, metadata, blobContentMD5 } = await container.getBlobClient(`app/${name}`).download();
      assert.ok(contentMD5 ?? blobContentMD5, 'the blob has a checksum');
      assert.match(metadata.sha256, /^[\da-f]{64}$/);
      return readableStreamBody;
    },
    async checkPrivate(name) {
      assert.ok((await fetch(this.locationOf(name))).status >= 400);
    },
    async checkAbsent(name) {
      assert.equal(await container.getBlobClient(`app/${name}`).exists(), false);
    },
  };
}

function gcs() {
  const bucket = 'dumps';
  let server;
  let storage;
  return {
    kind: 'GCSExporter',
    /** The emulator says no more. */
    saysMissing: /the store answered 404/,
    /**
     * Not the first piece: of an upload that holds nothing yet the emulator says that it holds a byte. Nor two in a row: the
     * second of them asks how far the upload is, and where that fails the SDK goes on twice at once, which ends in an error.
     */
    failures: { POST: [1], PUT: [2, 5] },
    async start() {
      this.port = await freePort();
      const args = ['-m', 'gcp_storage_emulator', 'start', '--host', '127.0.0.1', '--port', String(this.port)];
      server = await startServer(PYTHON, [...args, '--in-memory', '--quiet', '--default-bucket', bucket]);
      await answers(this.port);
      this.options = this.withPort(this.port);
      this.missing = { ...this.options, bucket: 'no-such-bucket' };
      const { Storage } = require('@google-cloud/storage');
      storage = new Storage(this.options.storageOptions);
    },
    stop: () => server.kill(),
    withPort: (port) => ({
      bucket,
      prefix: 'app/',
      storageOptions: { projectId: 'test', apiEndpoint: `http://127.0.0.1:${port}` },
      chunkSize: 5 << 20,
    }),
    locationOf: (name) => `gs://${bucket}/app/${name}`,
    read: async (name) => storage.bucket(bucket).file(`app/${name}`).createReadStream(),
    /** The emulator lets everybody read everything, so what it was asked for has to do. */
    async checkPrivate(name, requests) {
      const [begun, ...more] = requests.filter(({ method }) => method === 'POST');
      assert.deepEqual(more, []);
      assert.deepEqual(['name', 'predefinedAcl'].map((each) => begun.url.searchParams.get(each)), [`app/${name}`, 'private']);
      assert.ok(requests.every(({ method, url }) => method === 'POST' || url.searchParams.get('predefinedAcl') === 'private'));
    },
    async checkAbsent(name) {
      assert.deepEqual(await storage.bucket(bucket).file(`app/${name}`).exists(), [false]);
    },
  };
}

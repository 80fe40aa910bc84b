// heapdump-rs/http under node:http: what it hands out, and to whom. The frameworks are in test:frameworks.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';

import { validateSnapshot, validateStream } from '../harness/validate.mjs';
import { ROOT, startApp, startProgram } from './support/app.mjs';
import { atEndOf, makeTemporaryDirectory, modeOf } from './support/files.mjs';
import { ask, askWhole, AUTHORIZATION, TOKEN } from './support/http.mjs';
import { childrenOf, goneAfter, snapshotChildOf, waitFor } from './support/processes.mjs';

/** A server with a handler at every path but /health; its log goes to standard output. */
const serve = ({ fill, say, args }) => {
  const { snapshotHandler, healthHandler } = require('../../lib/http.js');
  fill(args.count ?? 1000);
  const log = (entry) => say('log', entry);
  const options = { minInterval: 0, token: args.token, ...(args.defaultLog ? {} : { log }), ...args.options };
  if (args.exportTo) options.exporter = new (require('../../lib/exporters.js').FileExporter)({ directory: args.exportTo });
  const handler = snapshotHandler(options);
  const health = healthHandler(args.health);
  const server = require('node:http').createServer((request, response) => {
    if (request.url === '/health') health(request, response);
    else handler(request, response);
  });
  server.listen(0, '127.0.0.1', () => say('port', server.address().port));
};

async function startServer(t, args = {}, options = {}) {
  const app = startApp(t, serve, { args: { token: TOKEN, ...args }, ...options });
  return { app, port: Number((await app.says(/port (\d+)/))[1]) };
}

test('a POST with the token is answered with a whole snapshot, and nothing lands on disk', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const { app, port } = await startServer(t, {}, { cwd: directory.path, env: { TMPDIR: directory.path } });
  const response = await ask(port);
  assert.equal(response.statusCode, 200);
  assert.equal(response.headers['cache-control'], 'no-store, no-transform');
  assert.equal(response.headers['content-encoding'], undefined);
  assert.match(response.headers['content-disposition'], /^attachment; filename="heap-[\d-]+\.heapsnapshot"$/);
  const { nodes, bytes } = await validateStream(response);
  assert.ok(nodes > 4000);
  const entry = JSON.parse((await app.says(/log (.*)/))[1]);
  assert.deepEqual([entry.status, entry.bytes, entry.remote, entry.method], [200, bytes, '127.0.0.1', 'POST']);
  assert.deepEqual(directory.names(), []);
});

test('gzip on the fly: by Accept-Encoding the transfer, by option the file', async (t) => {
  const byClient = await startServer(t);
  const headers = { ...AUTHORIZATION, 'accept-encoding': 'br;q=1, gzip;q=0.5' };
  const transfer = await ask(byClient.port, { headers });
  assert.equal(transfer.headers['content-encoding'], 'gzip');
  assert.match(transfer.headers['content-disposition'], /\.heapsnapshot"$/);
  await validateStream(transfer, { extension: 'gz' });
  const refused = await ask(byClient.port, { headers: { ...AUTHORIZATION, 'accept-encoding': 'gzip;q=0' } });
  assert.equal(refused.headers['content-encoding'], undefined);
  await validateStream(refused);

  const byOption = await startServer(t, { options: { compress: 'gzip' } });
  const file = await ask(byOption.port);
  assert.equal(file.headers['content-encoding'], undefined);
  assert.match(file.headers['content-disposition'], /\.heapsnapshot\.gz"$/);
  await validateStream(file, { extension: 'gz' });
});

test("with a directory the answer is the guide's {snapshot, size}", async (t) => {
  const directory = makeTemporaryDirectory(t);
  const { port } = await startServer(t, { options: { directory: directory.path, allowGet: true } });
  for (const method of ['POST', 'GET']) {
    const { status, body } = await askWhole(port, { method });
    assert.equal(status, 200);
    assert.deepEqual(Object.keys(body), ['snapshot', 'size']);
    assert.equal(body.size, fs.statSync(body.snapshot).size);
    assert.equal(modeOf(body.snapshot), 0o600);
    await validateSnapshot(body.snapshot);
  }
  assert.equal(directory.names().length, 2);
});

test('with an exporter the answer says where it is', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ say, args }) => {
    const { snapshotHandler } = require('../../lib/http.js');
    const { FileExporter } = require('../../lib/exporters.js');
    const exporter = new FileExporter({ directory: args.directory });
    const handler = snapshotHandler({ token: args.token, exporter, compress: 'gzip', log: false });
    const server = require('node:http').createServer(handler);
    server.listen(0, '127.0.0.1', () => say('port', server.address().port));
  }, { args: { token: TOKEN, directory: directory.path } });
  const { status, body } = await askWhole((await app.says(/port (\d+)/))[1]);
  assert.equal(status, 200);
  assert.match(body.snapshot, /\.heapsnapshot\.gz$/);
  assert.equal(body.size, fs.statSync(body.snapshot).size);
  await validateSnapshot(body.snapshot);
});

test('without a token or an authorising function there is no handler', async (t) => {
  const app = startApp(t, ({ plain }) => {
    const { snapshotHandler } = require('../../lib/http.js');
    const wrong = [undefined, {}, { token: undefined }, { token: '' }, { token: 'short' }, { token: [] }, { token: 5 }];
    return wrong.map((options) => {
      try {
        snapshotHandler(options);
        return 'made';
      } catch (error) {
        return plain(error).code;
      }
    });
  });
  const type = 'ERR_INVALID_ARG_TYPE';
  const value = 'ERR_INVALID_ARG_VALUE';
  assert.deepEqual(await app.result(), [type, value, value, value, value, value, type]);
});

test('every refusal: no token, wrong token, GET, a foreign Host, a foreign page', async (t) => {
  const { app, port } = await startServer(t);
  const local = `127.0.0.1:${port}`;
  const refusals = [
    [401, { headers: {} }],
    [401, { headers: { authorization: `Bearer ${TOKEN}x` } }],
    [401, { headers: { authorization: `Bearer ${TOKEN.slice(0, -1)}` } }],
    [401, { headers: { authorization: `Basic ${TOKEN}` } }],
    [401, { headers: {}, path: `/?token=${TOKEN}` }],
    [405, { method: 'GET' }],
    [405, { method: 'HEAD' }],
    [405, { method: 'PUT' }],
    [403, { headers: { ...AUTHORIZATION, host: 'rebound.example' } }],
    [403, { headers: { ...AUTHORIZATION, host: `localhost.rebound.example:${port}` } }],
    [403, { headers: { ...AUTHORIZATION, host: `rebound.example@localhost` } }],
    [403, { headers: { ...AUTHORIZATION, origin: 'https://elsewhere.example' } }],
    [403, { headers: { ...AUTHORIZATION, origin: 'null' } }],
    [403, { headers: { ...AUTHORIZATION, 'sec-fetch-site': 'cross-site' } }],
  ];
  for (const [expected, request] of refusals) {
    const { status, body, headers } = await askWhole(port, request);
    assert.equal(status, expected, JSON.stringify(request));
    if (request.method !== 'HEAD') assert.equal(typeof body.error, 'string');
    assert.equal(headers['cache-control'], 'no-store, no-transform');
    if (status === 405) assert.equal(headers.allow, 'POST');
    if (status === 401) assert.equal(headers['www-authenticate'], 'Bearer');
  }
  await waitFor('a line for each', () => app.stdout.match(/^log /gm)?.length === refusals.length);
  assert.ok(!app.stdout.includes(TOKEN), 'tokens are not logged');
  assert.deepEqual(childrenOf(app.pid), []);

  for (const headers of [{ host: `localhost:${port}` }, { host: `[::1]:${port}` }, { origin: `http://${local}` }]) {
    const response = await ask(port, { headers: { ...AUTHORIZATION, ...headers } });
    assert.equal(response.statusCode, 200, JSON.stringify(headers));
    await validateStream(response);
  }
});

test('names of its own are for the server to tell', async (t) => {
  const { port } = await startServer(t, { options: { hosts: ['app.example'] } });
  for (const [host, status] of [['App.example', 200], [`app.example:${port}`, 200], ['other.example', 403]]) {
    const response = await ask(port, { headers: { ...AUTHORIZATION, host } });
    assert.equal(response.statusCode, status);
    await response.resume().toArray();
  }
});

test('an authorising function decides too; one that fails says no', async (t) => {
  const app = startApp(t, ({ say }) => {
    const { snapshotHandler } = require('../../lib/http.js');
    const authorize = async ({ headers }) => {
      if (headers['x-user'] === undefined) throw new Error('nobody');
      return headers['x-user'] === 'admin' || 'not a boolean';
    };
    const server = require('node:http').createServer(snapshotHandler({ authorize, log: false }));
    server.listen(0, '127.0.0.1', () => say('port', server.address().port));
  });
  const port = (await app.says(/port (\d+)/))[1];
  assert.equal((await askWhole(port, { headers: {} })).status, 403);
  assert.equal((await askWhole(port, { headers: { 'x-user': 'guest' } })).status, 403);
  await validateStream(await ask(port, { headers: { 'x-user': 'admin' } }));
});

test('with a token and an authorising function both have to agree', async (t) => {
  const app = startApp(t, ({ say, args }) => {
    const { snapshotHandler } = require('../../lib/http.js');
    const asked = [];
    const authorize = ({ headers }) => asked.push(headers['x-user']) && headers['x-user'] === 'admin';
    const handler = snapshotHandler({ token: args.token, authorize, log: ({ status }) => say('asked', status, asked.length) });
    require('node:http').createServer(handler).listen(0, '127.0.0.1', function () { say('port', this.address().port); });
  }, { args: { token: TOKEN } });
  const port = (await app.says(/port (\d+)/))[1];
  assert.equal((await askWhole(port, { headers: { 'x-user': 'admin' } })).status, 401);
  await app.says(/asked 401 0/);
  assert.equal((await askWhole(port, { headers: { ...AUTHORIZATION, 'x-user': 'guest' } })).status, 403);
  await validateStream(await ask(port, { headers: { ...AUTHORIZATION, 'x-user': 'admin' } }));
});

test('no client has a say in the name of the file', async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('out'));
  const { port } = await startServer(t, { options: { directory: directory.at('out') } }, { cwd: directory.path });
  const named = ['filename', 'file', 'path', 'name', 'directory', 'output'].map((key) => `${key}=../evil`).join('&');
  const headers = { ...AUTHORIZATION, 'content-disposition': 'attachment; filename="../evil"', 'x-heapdump-name': '../evil' };
  const { status, body } = await askWhole(port, { path: `/../../evil.heapsnapshot?${named}`, headers });
  assert.equal(status, 200);
  assert.match(body.snapshot.slice(directory.at('out').length), /^\/heap-\d{13}-\d+-1\.heapsnapshot$/);
  assert.deepEqual([directory.names(), directory.names('out').length], [['out'], 1]);
});

test('every request is a line on standard error that says who asked, and no more lines than that', async (t) => {
  const { app, port } = await startServer(t, { defaultLog: true });
  const forged = `10.0.0.1", "status": 200}\u001b[2J${'x'.repeat(500)}`.replace('\u001b', '%1b');
  await askWhole(port, { headers: { 'x-forwarded-for': forged } });
  await validateStream(await ask(port));
  await app.says(/"status":200/, { on: 'stderr' });
  const lines = app.stderr.trimEnd().split('\n');
  const [refused, given] = lines.map((line) => JSON.parse(/^heapdump-rs\/http: (.*)$/.exec(line)[1]));
  assert.equal(lines.length, 2);
  assert.deepEqual([refused.method, refused.remote, refused.status], ['POST', '127.0.0.1', 401]);
  assert.equal(refused.forwardedFor, forged.slice(0, 200));
  assert.match(refused.reason, /token/);
  assert.deepEqual([given.status, given.forwardedFor], [200, undefined]);
  assert.ok(given.bytes > 1e6 && given.duration > 0 && !app.stderr.includes(TOKEN));
});

test('HTTP/2, whose requests have an authority instead of a Host', async (t) => {
  const app = startApp(t, ({ fill, say, args }) => {
    const { snapshotHandler, healthHandler } = require('../../lib/http.js');
    fill(20_000);
    const health = healthHandler();
    const handler = snapshotHandler({ token: args.token, minInterval: 0, log: (entry) => say('log', entry) });
    const server = require('node:http2').createServer((request, response) => {
      (request.url === '/health' ? health : handler)(request, response);
    });
    server.listen(0, '127.0.0.1', () => say('port', server.address().port));
  }, { args: { token: TOKEN } });
  const client = http2.connect(`http://127.0.0.1:${(await app.says(/port (\d+)/))[1]}`);
  atEndOf(t, () => client.destroy());
  const request = (headers) => {
    const stream = client.request({ ':method': 'POST', ':path': '/', ...AUTHORIZATION, ...headers });
    stream.end();
    return new Promise((resolve, reject) => {
      stream.once('response', (got) => resolve([got[':status'], stream, got])).once('error', reject);
    });
  };
  for (const [expected, headers] of [
    [401, { authorization: 'Bearer something-else-of-24' }],
    [403, { ':authority': 'rebound.example' }],
    [405, { ':method': 'PUT' }],
    [200, { ':method': 'GET', ':path': '/health' }],
  ]) {
    const [status, stream] = await request(headers);
    assert.equal(status, expected);
    stream.resume();
  }
  const [status, stream, headers] = await request({ 'accept-encoding': 'gzip' });
  assert.deepEqual([status, headers['content-encoding']], [200, 'gzip']);
  await validateStream(stream, { extension: 'gz' });

  const [, leaving] = await request({});
  const child = await snapshotChildOf(app);
  leaving.close(http2.constants.NGHTTP2_CANCEL);
  await goneAfter(child);
  await app.says(/log .*"status":499/);
});

test('one of several tokens is enough', async (t) => {
  const { port } = await startServer(t, { token: ['the-old-token-of-someone', TOKEN] });
  await validateStream(await ask(port));
});

test('one at a time, and not too often', async (t) => {
  const { port } = await startServer(t, { count: 40_000, options: { minInterval: 3_600_000 } });
  // Unread, it cannot end: it does not fit into the buffers on the way.
  const first = await ask(port);
  const second = await askWhole(port);
  assert.equal(second.status, 409);
  assert.ok(Number(second.headers['retry-after']) > 0);
  await validateStream(first);
  const third = await waitFor('the first to be over', async () => {
    const answer = await askWhole(port);
    return answer.status !== 409 && answer;
  });
  assert.equal(third.status, 429);
  assert.ok(Number(third.headers['retry-after']) > 3000);
});

test("another snapshot of the process is not waited for, and a child's failure has a status", async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, fill, say, args, once }) => {
    const { snapshotHandler } = require('../../lib/http.js');
    fill(40_000);
    const handlers = {
      '/stream': snapshotHandler({ token: args.token, minInterval: 0, log: false }),
      '/missing': snapshotHandler({ token: args.token, minInterval: 0, log: false, directory: '/nonexistent' }),
    };
    const server = require('node:http').createServer((request, response) => handlers[request.url](request, response));
    const running = heapdump.createSnapshotStream();
    await once(running, 'readable');
    server.listen(0, '127.0.0.1', () => say('port', server.address().port));
    process.once('SIGHUP', async () => {
      running.destroy();
      while (heapdump.getStatus().inProgress) await new Promise(setImmediate);
      say('free');
    });
  }, { cwd: directory.path, args: { token: TOKEN } });
  const port = (await app.says(/port (\d+)/))[1];
  const busy = await askWhole(port, { path: '/stream' });
  assert.deepEqual([busy.status, busy.body.code], [409, 'ERR_HEAPDUMP_BUSY']);
  app.kill('SIGHUP');
  await app.says(/free/);
  const missing = await askWhole(port, { path: '/missing' });
  assert.deepEqual([missing.status, missing.body.code], [500, 'ENOENT']);
});

test('a client that goes away half-way: the child ends, and nothing is left', async (t) => {
  const directory = makeTemporaryDirectory(t);
  for (const target of [{}, { options: { directory: directory.path } }, { exportTo: directory.path }]) {
    const { app, port } = await startServer(t, { count: 50_000, ...target }, { env: { TMPDIR: directory.path } });
    const client = net.connect(port, '127.0.0.1');
    client.write(`POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`);
    const child = await snapshotChildOf(app);
    client.destroy();
    await goneAfter(child);
    await app.says(/log .*"status":499/);
    await waitFor('the directory is empty', () => directory.names().length === 0);
    await waitFor('no child', () => childrenOf(app.pid).length === 0);
    // The next one is served.
    const next = await waitFor('a free handler', async () => {
      const response = await ask(port);
      if (response.statusCode === 200) return response;
      response.resume();
      return undefined;
    });
    await next.resume().toArray();
    for (const name of directory.names()) fs.rmSync(directory.at(name));
  }
});

test('a child that dies half-way breaks the connection: no answer ends well that is not whole', async (t) => {
  const { app, port } = await startServer(t, { count: 40_000 });
  const response = await ask(port);
  const child = await snapshotChildOf(app);
  process.kill(child.pid, 'SIGKILL');
  await assert.rejects(response.resume().toArray(), /aborted/);
  // 503 is for a child that the kernel killed because memory ran out. It is answered here where that has just happened to another
  // process of this machine: tests beside this one bring it about.
  await app.says(/log .*"status":50[03]/);
});

test('a slow client holds the child back', async (t) => {
  const { app, port } = await startServer(t, { count: 60_000 });
  const response = await ask(port);
  // Nothing is read, and the child still has most of it to write.
  const child = await snapshotChildOf(app);
  await waitFor('it has begun to write', () => /^wchar: [1-9]\d{5}/m.test(fs.readFileSync(`/proc/${child.pid}/io`, 'utf8')));
  const before = memoryOf(app.pid);
  await validateStream(response);
  await goneAfter(child);
  assert.ok(memoryOf(app.pid) - before < 50e6, 'the snapshot was not kept in memory');
});

/** Resident, in bytes. */
function memoryOf(pid) {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;
}

test('health: 503 over a limit of the heap or of RSS, and 200 while a dump runs', async (t) => {
  const { app, port } = await startServer(t, { count: 40_000, health: { maxHeap: 0.9, maxRss: 1 } });
  const health = { method: 'GET', path: '/health', headers: {} };
  const running = await ask(port);
  await snapshotChildOf(app);
  const during = await askWhole(port, health);
  assert.deepEqual([during.status, during.body.status, during.body.over], [200, 'ok', []]);
  assert.ok(during.body.heapUsed > 1e6 && during.body.rss > during.body.heapUsed);
  assert.equal((await askWhole(port, { ...health, method: 'HEAD' })).status, 200);
  assert.equal((await askWhole(port, { ...health, method: 'POST' })).status, 405);
  await validateStream(running);

  for (const limit of ['maxHeap', 'maxRss']) {
    const { port: over } = await startServer(t, { health: { [limit]: 1000 } });
    const { status, body } = await askWhole(over, health);
    assert.deepEqual([status, body.status, body.over.length], [503, 'over limit', 1]);
  }
});

test('health: at the limit of open files, where the resident memory cannot be read, the heap still can', async (t) => {
  const app = startApp(t, async ({ once }) => {
    const { openSync } = require('node:fs');
    const net = require('node:net');
    const { healthHandler } = require('../../lib/http.js');
    const server = require('node:http').createServer(healthHandler({ maxHeap: 0.9, maxRss: 1 }));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const client = net.connect(server.address().port, '127.0.0.1').setEncoding('utf8');
    const ask = async () => {
      client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
      return JSON.parse(/\{.*\}/.exec(await once(client, 'data'))[0]);
    };
    const before = await ask();
    try {
      for (;;) openSync('/dev/null');
    } catch {
      const answers = [before, await ask()];
      client.destroy();
      server.close();
      return answers;
    }
  }, { via: ['sh', '-c', 'ulimit -n 64 && exec "$@"', 'sh'] });
  const [before, atLimit] = await app.result();
  assert.equal(typeof before.rss, 'number');
  assert.deepEqual([atLimit.status, typeof atLimit.heapUsed, atLimit.rss], ['ok', 'number', undefined]);
});

test('the main entry alone loads no integration, no package, and nothing of the network', async (t) => {
  const entry = path.join(ROOT, 'index.js');
  const look = `require(${JSON.stringify(entry)}).writeSnapshot('a.heapsnapshot', () => console.log('result ' +
    JSON.stringify({ value: { files: Object.keys(require.cache), builtin: process.moduleLoadList } })))`;
  const directory = makeTemporaryDirectory(t);
  const app = startProgram(t, [process.execPath, '-e', look], { cwd: directory.path });
  const { files, builtin } = await app.result();
  const own = files.map((file) => path.relative(ROOT, file)).sort();
  assert.ok(own.includes('index.js') && own.some((name) => name.endsWith('.node')));
  for (const name of own) {
    assert.match(name, /^index\.js$|^lib\/[\w-]+\.js$|^heapdump-rs\.[\w-]+\.node$/);
    assert.doesNotMatch(name, /^lib\/(http|monitor|oom|register|analyze|exporters|openprofiling)/);
  }
  const network = builtin.filter((name) => /^NativeModule (http|https|http2|net|tls|inspector|_http_\w+)$/.test(name));
  assert.deepEqual(network, []);
});

test('loading it installs no signal', async (t) => {
  const caught = startApp(t, ({ say, stayAlive }) => {
    for (const name of ['http', 'exporters', 'openprofiling']) require(`../../lib/${name}.js`);
    stayAlive();
    say(/^SigCgt:\s+(\w+)/m.exec(require('node:fs').readFileSync('/proc/self/status', 'utf8'))[0]);
  });
  const [, mask] = await caught.says(/SigCgt:\s+(\w+)/);
  assert.equal((BigInt(`0x${mask}`) >> 11n) & 1n, 0n, 'SIGUSR2 is signal 12');
});

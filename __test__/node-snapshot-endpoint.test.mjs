// npx heapdump-rs node-snapshot --endpoint: the file comes whole, or not at all and with a reason.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import v8 from 'node:v8';
import zlib from 'node:zlib';

import { validateSnapshot } from '../harness/validate.mjs';
import { isBeingWritten } from '../harness/writers.mjs';
import { startApp } from './support/app.mjs';
import { runCommand, startCommand } from './support/command.mjs';
import { atEndOf, makeTemporaryDirectory, modeOf } from './support/files.mjs';
import { waitFor } from './support/processes.mjs';

const { Completeness } = createRequire(import.meta.url)('../lib/cli/completeness.js');

let whole;
/** A whole snapshot, of the test's own heap. */
function snapshot(directory) {
  whole ??= fs.readFileSync(v8.writeHeapSnapshot(directory.at('own')));
  fs.rmSync(directory.at('own'), { force: true });
  return whole;
}

/** A server with `answer` as its handler, and the command's outcome. `requests` says what it was asked. */
async function serve(t, answer) {
  const directory = makeTemporaryDirectory(t);
  const requests = [];
  const server = http.createServer((request, response) => {
    requests.push({ method: request.method, authorization: request.headers.authorization });
    answer(request, response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEndOf(t, () => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://localhost:${server.address().port}/debug/heap-snapshot`;
  const args = (...more) => ['node-snapshot', '--endpoint', url, '--output', directory.at('a.heapsnapshot'), ...more];
  return { directory, requests, url, args, run: (...more) => runCommand(t, args(...more), { cwd: directory.path }) };
}

const BODIES = {
  plain: (response, body) => response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(body),
  'with a length': (response, body) => response.writeHead(200, { 'content-length': body.length }).end(body),
  'gzip on the way': (response, body) =>
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(zlib.gzipSync(body)),
  'a compressed file': (response, body) =>
    response.writeHead(200, { 'content-type': 'application/gzip' }).end(zlib.gzipSync(body)),
};

for (const [title, send] of Object.entries(BODIES)) {
  test(`a streamed body: ${title}`, async (t) => {
    const served = await serve(t, (request, response) => send(response, snapshot(served.directory)));
    const { code, stdout, stderr } = await served.run();
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /: complete, /);
    assert.deepEqual(served.directory.names(), ['a.heapsnapshot']);
    assert.ok(fs.readFileSync(served.directory.at('a.heapsnapshot')).equals(whole));
    assert.equal(modeOf(served.directory.at('a.heapsnapshot')), 0o600);
    await validateSnapshot(served.directory.at('a.heapsnapshot'));
    assert.deepEqual(served.requests, [{ method: 'POST', authorization: undefined }]);
  });
}

test("the guide's load test: an endpoint for GET, a JSON answer, a name relative to the server's directory", async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('server'));
  const app = startApp(
    t,
    ({ promises, say }) => {
      require('node:http')
        .createServer((request, response) => {
          if (request.method !== 'GET') return response.writeHead(404).end();
          promises.writeSnapshot(`heap-${Date.now()}.heapsnapshot`).then(({ path, bytes }) => {
            const snapshot = require('node:path').basename(path);
            response
              .writeHead(200, { 'content-type': 'application/json; charset=utf-8' })
              .end(JSON.stringify({ snapshot, size: bytes }));
          });
        })
        .listen(0, '127.0.0.1', function () {
          say('port', this.address().port);
        });
    },
    { cwd: directory.at('server') },
  );
  const [, port] = await app.says(/port (\d+)/);
  const url = `http://localhost:${port}/debug/heap-snapshot`;
  for (const name of ['baseline.heapsnapshot', 'after-load.heapsnapshot']) {
    const { code, stdout, stderr } = await runCommand(t, ['node-snapshot', '--endpoint', url, '--output', name], {
      cwd: directory.path,
    });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /: complete/);
    await validateSnapshot(directory.at(name));
  }
  // The server's files are its own.
  assert.equal(directory.names('server').length, 2);
  const leaks = await runCommand(
    t,
    ['find-leaks', '--baseline', 'baseline.heapsnapshot', '--target', 'after-load.heapsnapshot', '--trace-all-objects'],
    { cwd: directory.path },
  );
  assert.equal(leaks.code, 0, leaks.stderr);
});

test('a JSON answer whose file is not here, or has another size, is an error that says which', async (t) => {
  const answers = [];
  const served = await serve(t, (request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answers[0]));
  });
  fs.writeFileSync(served.directory.at('there'), snapshot(served.directory));
  const cases = [
    [{ snapshot: served.directory.at('missing'), size: 5 }, /cannot be read here/],
    [{ snapshot: served.directory.at('there'), size: 5 }, /has \d+ bytes/],
    [{ snapshot: served.directory.path, size: 5 }, /is no file/],
    [{ snapshot: 5, size: 5 }, /not \{snapshot, size\}/],
    [{ error: 'busy' }, /not \{snapshot, size\}.*busy/],
    [{ snapshot: '/dev/null', size: 0 }, /is no file/],
  ];
  for (const [answer, pattern] of cases) {
    answers[0] = answer;
    const { code, stderr } = await served.run();
    assert.equal(code, 2);
    assert.match(stderr, pattern);
    assert.deepEqual(served.directory.names(), ['there']);
  }
});

test('the token goes as a Bearer token, from the command line or the environment', async (t) => {
  const served = await serve(t, (request, response) => {
    if (request.headers.authorization !== 'Bearer secret') return response.writeHead(401).end('who are you?\x1b[2J');
    BODIES.plain(response, snapshot(served.directory));
  });
  const without = await served.run();
  assert.equal(without.code, 2);
  assert.match(without.stderr, /401.*wants a token: --token\nIt said: who are you\?\\u\{1b\}\[2J\n$/);
  assert.match((await served.run('--token', 'wrong')).stderr, /does not accept this token/);
  assert.equal((await served.run('--token', 'secret')).code, 0);
  const command = startCommand(t, served.args('--force'), { env: { HEAPDUMP_TOKEN: 'secret' } });
  assert.equal((await command.ended()).code, 0);
});

test('what is not whole is an error, and leaves nothing', async (t) => {
  let send;
  const served = await serve(t, (request, response) => send(response));
  const body = snapshot(served.directory);
  const half = body.subarray(0, body.length >> 1);
  const cases = [
    [(response) => BODIES.plain(response, half), /cut off after \d+ bytes/],
    [(response) => BODIES.plain(response, body.subarray(0, body.lastIndexOf(0x7d))), /cut off after/],
    [
      (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(zlib.gzipSync(body).subarray(0, 9999)),
      /compressed data ends too early/,
    ],
    [
      (response) => response.writeHead(200, { 'content-length': body.length }).write(half, () => response.destroy()),
      /not complete: .*connection was lost|aborted/,
    ],
    [
      (response) => response.writeHead(200).write(half, () => response.destroy()),
      /not complete: .*connection was lost|aborted/,
    ],
    [
      (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>'),
      /no heap snapshot: it begins with .*doctype/,
    ],
    [(response) => response.writeHead(200).end(), /no byte of a snapshot/],
    [
      (response) => response.writeHead(503).end('{"error":"ERR_HEAPDUMP_NO_MEMORY"}'),
      /503.*cannot take a snapshot now\nIt said: .*NO_MEMORY/,
    ],
    [(response) => response.writeHead(405).end(), /405.*neither POST nor GET/],
    [
      (response) => response.writeHead(302, { location: 'http://elsewhere/' }).end(),
      /302.*points to http:\/\/elsewhere/,
    ],
  ];
  for (const [answer, pattern] of cases) {
    send = answer;
    const { code, stdout, stderr } = await served.run();
    assert.deepEqual([code, stdout], [2, '']);
    assert.match(stderr, pattern);
    assert.deepEqual(served.directory.names(), []);
  }
});

test('nobody there, and arguments that make no sense', async (t) => {
  const served = await serve(t, () => {});
  const closed = http.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => closed.once('listening', resolve));
  const { port } = closed.address();
  await new Promise((resolve) => closed.close(resolve));
  const output = ['--output', served.directory.at('a')];
  const cases = [
    [['--endpoint', `http://127.0.0.1:${port}/`, ...output], /nobody listens at 127\.0\.0\.1/],
    [['--endpoint', 'ftp://x/', ...output], /must be an http: or https: address/],
    [['--endpoint', 'nonsense', ...output], /must be an http: or https: address/],
    [[...output], /one of --endpoint, --pid, --all, --image and --core is needed/],
    [['--endpoint', served.url, '--pid', '1', ...output], /one of --endpoint, --pid, --all, --image and --core is needed/],
    [['--endpoint', served.url], /--output is needed/],
    [['--endpoint', served.url, ...output, '--nonsense'], /Unknown option '--nonsense'.*--help/],
    [['--endpoint', served.url, ...output, '--timeout', '0'], /--timeout must be/],
    [['--endpoint', served.url, ...output, '--timeout', '1'], /time of --timeout is over/],
  ];
  for (const [args, pattern] of cases) {
    const { code, stderr } = await runCommand(t, ['node-snapshot', ...args]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, pattern);
  }
  assert.deepEqual(served.directory.names(), []);
});

test('an interrupted download leaves nothing', async (t) => {
  const served = await serve(t, (request, response) => response.writeHead(200).write('{"snapshot":'));
  const command = startCommand(t, served.args());
  await waitFor('its file', () => isBeingWritten(served.directory.path) && served.requests.length === 1);
  command.kill('SIGINT');
  assert.equal((await command.ended()).code, 130);
  assert.deepEqual(served.directory.names(), []);
});

test('both commands are in --help', async (t) => {
  for (const args of [['--help'], ['-h'], ['help']]) {
    const { code, stdout } = await runCommand(t, args);
    assert.equal(code, 0);
    assert.match(stdout, /^ {2}summary .*^ {2}node-snapshot .*^ {2}doctor /ms);
  }
  for (const args of [
    ['node-snapshot', '--help'],
    ['help', 'node-snapshot'],
  ]) {
    const { code, stdout } = await runCommand(t, args);
    assert.equal(code, 0);
    assert.match(stdout, /^Usage: .*--endpoint URL --output FILE/m);
  }
});

test('every part of a snapshot less than the whole is noticed, however it is cut into chunks', () => {
  const meta = { node_fields: ['type', 'name'], edge_fields: ['type', 'to'] };
  const text = `${JSON.stringify({ snapshot: { meta, node_count: 2, edge_count: 2 } }).slice(0, -1)},
"nodes":[0,1
,2,3
],
"edges":[0,2
,4,0
],
"trace_tree":[],
"strings":["a","]}"]}`;
  for (let end = 0; end < text.length; end++)
    assert.throws(() => check(text.slice(0, end), 7), undefined, text.slice(0, end));
  for (const step of [1, 2, 13, 1000]) assert.deepEqual(check(text, step), { bytes: text.length, nodes: 2, edges: 2 });
  assert.throws(() => check(text.replace('2,3', '2'), 100), /3 numbers of nodes are there, and 4 were announced/);

  function check(bytes, step) {
    const completeness = new Completeness();
    for (let at = 0; at < bytes.length; at += step) completeness.write(Buffer.from(bytes.slice(at, at + step)));
    return completeness.end();
  }
});

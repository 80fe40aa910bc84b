// heapdump-rs view: a server on this machine that answers the page it opened, and nobody else.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';

import limits from '../harness/limits.cjs';
import { runCommand, startCommand } from './support/command.mjs';
import { WITHOUT_RIGHTS, needsRoot } from './support/faults.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { leakingServer } from './support/heaps.mjs';

const { serve } = createRequire(import.meta.url)('../lib/viewer/server.js');
const directory = makeTemporaryDirectory();
let snapshots;
before(() => void (snapshots = leakingServer(directory, 2)));
after(() => directory.remove());

/** Starts the command; resolves once it has said its address. */
async function view(t, ...args) {
  const command = startCommand(t, ['view', ...args, '--no-open'], { env: { SSH_CONNECTION: '' } });
  const [, port, token] = await command.says(/^http:\/\/127\.0\.0\.1:(\d+)\/#token=([\w-]{32})\n/);
  return { command, port: Number(port), token };
}

/** One request, with whatever headers somebody might send. */
function request({ port, token }, path, { method = 'POST', headers = {}, body = '{}' } = {}) {
  const all = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json', ...headers };
  return new Promise((resolve, reject) => {
    const sent = http.request({ host: '127.0.0.1', port, path, method, headers: all, agent: false }, async (response) => {
      let text = '';
      for await (const piece of response.setEncoding('utf8')) text += piece;
      resolve({ status: response.statusCode, headers: response.headers, text });
    });
    sent.on('error', reject).end(method === 'GET' ? undefined : body);
  });
}

async function ask(server, question, options) {
  const { status, text } = await request(server, '/ask', { body: JSON.stringify({ question, options }) });
  assert.equal(status, 200, text);
  return JSON.parse(text);
}

async function loaded(server) {
  const { status, text } = await request(server, '/report');
  assert.equal(status, 200, text);
  return JSON.parse(text);
}

test('the page has nothing of a heap, is not kept, and may load only from its server', async (t) => {
  const server = await view(t, snapshots[0]);
  const { status, headers, text } = await request(server, '/', { method: 'GET', headers: { Authorization: '' } });
  assert.equal(status, 200);
  assert.doesNotMatch(text, /example\.com|server\.js|type="application\/json"/);
  assert.equal(headers['cache-control'], 'no-store');
  assert.match(headers['content-security-policy'], /^default-src 'none'; script-src 'sha256-.*connect-src 'self'.*frame-ancestors 'none'$/);
  assert.deepEqual([headers['x-content-type-options'], headers['referrer-policy'], headers['cross-origin-resource-policy']], ['nosniff', 'no-referrer', 'same-origin']);
});

test('nobody else is answered', async (t) => {
  const server = await view(t, snapshots[0]);
  const status = async (path, options) => (await request(server, path, options)).status;
  assert.equal(await status('/status', { headers: { Authorization: 'Bearer x' } }), 401);
  assert.equal(await status('/report', { headers: { Authorization: '' } }), 401);
  // Another name for this machine, which a page of that name may use.
  for (const host of ['evil.example', `evil.example:${server.port}`, '127.0.0.1.evil.example', '0.0.0.0']) {
    assert.equal(await status('/status', { headers: { Host: host } }), 403, host);
    assert.equal(await status('/', { method: 'GET', headers: { Host: host } }), 403, host);
  }
  // The other end of a tunnel.
  assert.equal(await status('/status', { headers: { Host: 'localhost:9999' } }), 200);
  for (const origin of ['http://evil.example', 'null', `https://127.0.0.1:${server.port}`, 'http://127.0.0.1:1']) {
    assert.equal(await status('/status', { headers: { Origin: origin } }), 403, origin);
  }
  assert.equal(await status('/status', { headers: { Origin: `http://127.0.0.1:${server.port}` } }), 200);
  assert.equal(await status('/status', { headers: { 'Sec-Fetch-Site': 'cross-site' } }), 403);
  assert.equal(await status('/status', { headers: { 'Content-Type': 'text/plain' } }), 415);
});

test('another user of the machine is not answered, whatever it knows', async (t) => {
  if (!needsRoot(t)) return;
  const server = await view(t, snapshots[0]);
  const ask = (...via) => {
    const script = `const http = require('node:http');
      const headers = { Authorization: 'Bearer ${server.token}', 'Content-Type': 'application/json' };
      http.request({ host: '127.0.0.1', port: ${server.port}, path: '/status', method: 'POST', headers }, ({ statusCode }) => console.log(statusCode))
        .on('error', ({ code }) => console.log(code)).end('{}');`;
    const [file, ...args] = [...via, process.execPath, '-e', script];
    return execFileSync(file, args, { encoding: 'utf8', timeout: limits.WAIT, cwd: '/' }).trim();
  };
  assert.equal(ask(), '200');
  assert.match(ask(...WITHOUT_RIGHTS), /^ECONN|EPIPE/);
});

test('what is refused is not read on, and a question that does not come is not waited for', async (t) => {
  const server = await view(t, snapshots[0]);
  const { headers } = await request(server, '/nothing');
  assert.equal(headers.connection, 'close');
  const upgrade = await request(server, '/', { method: 'GET', headers: { Connection: 'Upgrade', Upgrade: 'websocket' } });
  assert.deepEqual([upgrade.status, upgrade.headers.upgrade], [200, undefined]);
  assert.equal((await request(server, '/status', { method: 'OPTIONS', headers: { Origin: 'http://evil.example', 'Access-Control-Request-Method': 'POST' } })).status, 403);
});

test('a server that is forgotten ends', async () => {
  const { server, address } = await serve({ status: () => ({}) }, 0, 200);
  assert.match(address, /^http:\/\/127\.0\.0\.1:/);
  await once(server, 'close');
});

test('no other method, place, question or size', async (t) => {
  const server = await view(t, snapshots[0]);
  const status = async (path, options) => (await request(server, path, options)).status;
  assert.equal(await status('/status', { method: 'GET' }), 405);
  assert.equal(await status('/', { method: 'POST' }), 405);
  for (const path of ['/../../etc/passwd', '/package.json', '/status?x', '//']) assert.equal(await status(path), 404, path);
  assert.equal(await status('/ask', { body: 'x' }), 400);
  assert.equal(await status('/ask', { body: 'null' }), 400);
  assert.equal(await status('/ask', { body: '{"question":"constructor","options":{}}' }), 400);
  assert.equal(await status('/ask', { body: '{"question":"page","options":{"id":3000000001}}' }), 400);
  assert.equal(await status('/ask', { body: JSON.stringify({ question: 'x'.repeat(70_000), options: {} }) }), 413);
});

test('it answers what the commands do', async (t) => {
  const server = await view(t, ...snapshots);
  const report = await loaded(server);
  const json = async (...args) => JSON.parse((await runCommand(t, [...args, '--json'])).stdout);
  const last = snapshots.at(-1);
  assert.equal(report.values, true);
  assert.deepEqual(report.files, snapshots);
  assert.deepEqual((await ask(server, 'summary', { limit: 0 })).classes, (await json('summary', last, '--limit', '0')).classes);
  assert.deepEqual((await ask(server, 'compare', { with: 0, limit: 0 })).classes, (await json('compare', ...snapshots, '--limit', '0')).classes);
  assert.deepEqual(report.trend.groups.map(({ growth }) => growth), (await json('trend', ...snapshots, '--limit', '40')).groups.map(({ growth }) => growth));
  const found = await ask(server, 'objects', { class: 'Session', where: 'retained > 400', limit: 5 });
  assert.deepEqual(found.objects, (await json('objects', last, '--class', 'Session', '--where', 'retained > 400', '--limit', '5')).objects);
  const [{ id }] = found.objects;
  const one = await json('inspect-object', last, '--object-id', `@${id}`, '--limit', '0');
  const page = await ask(server, 'page', { id, limit: 0 });
  assert.deepEqual([page.object, page.path, page.dominator, page.retainers], [one.object, one.path, one.dominator, one.retainers]);
  assert.equal(page.references.length, one.references.length);
  const held = await ask(server, 'retainers', { id, limit: 10, ignore: [String(page.retainers[0].object.id)], jsOnly: true });
  const { retainers } = await json('retainers', last, '--object-id', `@${id}`, '--ignore', `@${page.retainers[0].object.id}`, '--js-only');
  assert.deepEqual(held, retainers);
  const freed = await ask(server, 'summary', { limit: 1, without: 'Session' });
  assert.deepEqual(freed.selection, (await json('summary', last, '--without', 'Session')).selection);
});

test('the tree opens further where it is gone to, by paths and by objects too', async (t) => {
  const server = await view(t, snapshots.at(-1));
  const { heap } = await loaded(server);
  const [child] = heap.tree.children;
  const below = await ask(server, 'tree', { within: [child.key] });
  assert.deepEqual([below.key, below.size, below.name], [child.key, child.size, child.name]);
  assert.ok((below.children ?? []).length >= (child.children ?? []).length);
  for (const options of [{ by: 'paths' }, { by: 'paths', measure: 'objects' }, { measure: 'objects' }]) {
    const tree = await ask(server, 'tree', options);
    const whole = options.measure === 'objects' ? heap.summary.classes.reduce((sum, { count }) => sum + count, 0) : heap.tree.size;
    assert.ok(tree.size > 0.9 * whole && tree.size <= 1.01 * whole, `${JSON.stringify(options)}: ${tree.size} of ${whole}`);
  }
});

test('Ctrl-C ends it', async (t) => {
  const { command, ...server } = await view(t, snapshots[0]);
  await loaded(server);
  process.kill(command.pid, 'SIGINT');
  assert.equal((await command.ended()).signal, 'SIGINT');
});

test('what cannot be used is said', async (t) => {
  const refused = async (...args) => {
    const { code, stderr } = await runCommand(t, ['view', '--no-open', ...args]);
    assert.equal(code, 2, stderr);
    return stderr;
  };
  const server = await view(t, snapshots[0]);
  assert.match(await refused(), /which snapshot\?/);
  assert.match(await refused(directory.at('none.heapsnapshot')), /there is no such file/);
  assert.match(await refused(snapshots[0], '--port', '99999'), /--port/);
  assert.match(await refused(snapshots[0], '--port', String(server.port)), /another program does/);
  assert.match(await refused(directory.at('server.js')), /server\.js|snapshot/);
});

// The same handlers under every framework: what they hand out, what they refuse, and a client that goes away.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';

import { validateSnapshot, validateStream } from '../../harness/validate.mjs';
import { ROOT, startProgram } from '../support/app.mjs';
import { makeTemporaryDirectory } from '../support/files.mjs';
import { ask, askWhole, AUTHORIZATION, TOKEN } from '../support/http.mjs';
import { childrenOf, goneAfter, snapshotChildOf, waitFor } from '../support/processes.mjs';

const APP = path.join(process.env.FRAMEWORKS_CACHE, 'app.cjs');

for (const framework of ['http', 'express', 'fastify', 'koa', 'hono']) {
  async function startServer(t) {
    const directory = makeTemporaryDirectory(t);
    const job = JSON.stringify({ framework, root: ROOT, token: TOKEN, directory: directory.path });
    const app = startProgram(t, [process.execPath, '--max-old-space-size=512', APP, job]);
    return { app, directory, port: Number((await app.says(/port (\d+)/))[1]) };
  }

  test(`${framework}: a stream, compressed and not, a file, and health`, async (t) => {
    const { app, port } = await startServer(t);
    await validateStream(await ask(port, { path: '/stream' }));
    const compressed = await ask(port, { path: '/stream', headers: { ...AUTHORIZATION, 'accept-encoding': 'gzip' } });
    assert.equal(compressed.headers['content-encoding'], 'gzip');
    await validateStream(compressed, { extension: 'gz' });
    for (const method of ['GET', 'POST']) {
      const { status, body } = await askWhole(port, { path: '/file', method });
      assert.equal(status, 200, JSON.stringify(body));
      assert.equal(body.size, fs.statSync(body.snapshot).size);
      await validateSnapshot(body.snapshot);
    }
    assert.equal((await askWhole(port, { path: '/health', method: 'GET', headers: {} })).status, 200);
    assert.equal(app.stderr, '');
  });

  test(`${framework}: refusals`, async (t) => {
    const { app, port } = await startServer(t);
    const refusals = [
      [401, { path: '/stream', headers: {} }],
      [401, { path: '/stream', headers: { authorization: 'Bearer something-else-of-24' } }],
      [405, { path: '/file', method: 'PUT' }],
      [403, { path: '/stream', headers: { ...AUTHORIZATION, host: 'rebound.example' } }],
      [403, { path: '/stream', headers: { ...AUTHORIZATION, origin: 'https://elsewhere.example' } }],
      [405, { path: '/health', method: 'HEAD', expected: 200 }],
    ];
    for (const [status, { expected = status, ...request }] of refusals) {
      assert.equal((await askWhole(port, request)).status, expected, JSON.stringify(request));
    }
    const first = await ask(port, { path: '/stream' });
    assert.equal((await askWhole(port, { path: '/stream' })).status, 409);
    assert.equal((await askWhole(port, { path: '/health', method: 'GET', headers: {} })).status, 200);
    await validateStream(first);
    assert.equal(app.stderr, '');
  });

  test(`${framework}: a client that goes away half-way ends the child`, async (t) => {
    const { app, port, directory } = await startServer(t);
    for (const target of ['/stream', '/file']) {
      const client = net.connect(port, '127.0.0.1');
      client.write(`POST ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`);
      const child = await snapshotChildOf(app);
      client.destroy();
      await goneAfter(child);
      await waitFor('no child, no file', () => childrenOf(app.pid).length === 0 && directory.names().length === 0);
    }
    const again = await waitFor('a free handler', async () => {
      const answer = await askWhole(port, { path: '/file' });
      return answer.status !== 409 && answer;
    });
    assert.equal(again.status, 200);
    assert.equal(app.stderr, '');
  });
}

'use strict';

// One application in each framework, with the handlers as they are. run.mjs copies this file beside the frameworks.

const { framework, root, token, directory } = JSON.parse(process.argv[2]);
const { snapshotHandler, healthHandler } = require(`${root}/lib/http.js`);

globalThis.kept = Array.from({ length: 60_000 }, (_, i) => ({ i, text: `text ${i}`, list: [i, { i }] }));
const options = { token, minInterval: 0, log: false };
const stream = snapshotHandler(options);
const file = snapshotHandler({ ...options, directory, allowGet: true });
const health = healthHandler({ maxRss: 1 });

const listen = (server) => new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));

const started = {
  http() {
    const handlers = { '/stream': stream, '/file': file, '/health': health };
    const server = require('node:http').createServer((request, response) => handlers[request.url](request, response));
    return listen(server);
  },

  express() {
    const app = require('express')();
    app.use(require('express').json());
    app.post('/stream', stream);
    app.all('/file', file);
    app.get('/health', health);
    return listen(require('node:http').createServer(app));
  },

  async fastify() {
    const app = require('fastify')();
    app.post('/stream', stream);
    app.all('/file', file);
    app.get('/health', health);
    return new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port;
  },

  koa() {
    const app = new (require('koa'))();
    const handlers = { '/stream': stream, '/file': file, '/health': health };
    app.use((context, next) => (handlers[context.path] ?? next)(context, next));
    return listen(require('node:http').createServer(app.callback()));
  },

  async hono() {
    const { Hono } = require('hono');
    const { serve } = require('@hono/node-server');
    const app = new Hono();
    app.post('/stream', stream);
    app.all('/file', file);
    app.get('/health', health);
    return new Promise((resolve) => serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => resolve(port)));
  },
}[framework]();

for (const event of ['unhandledRejection', 'uncaughtException']) {
  process.on(event, (error) => {
    console.error(error);
    process.exit(1);
  });
}
started.then((port) => console.log(`port ${port}`));

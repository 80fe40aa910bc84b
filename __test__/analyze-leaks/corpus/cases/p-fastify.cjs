// A hook of fastify that remembers what was asked.
'use strict';
const fastify = require('fastify');
const app = fastify();
const seen = [];
app.addHook('onRequest', async (request) => {
  if (request.query.leak) seen.push({ id: request.id, headers: { ...request.headers }, url: request.url });
});
app.get('/', async () => 'ok');
exports.steps = 300;
exports.warmup = 300;
exports.expect = /p-fastify\.cjs: seen → Array|Array `seen` in p-fastify\.cjs/;
exports.setup = () => app.ready();
exports.leak = (i) => app.inject(`/?leak=1&i=${i}`);
exports.repaired = (i) => app.inject(`/?i=${i}`);

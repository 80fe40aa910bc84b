// A middleware keeps the context of each request for statistics.
'use strict';
const http = require('node:http');
const Koa = require('koa');
const app = new Koa();
const slow = new Map();
app.use((context) => {
  if (context.path === '/leak') slow.set(slow.size, context);
  context.body = 'ok';
});
let server;
const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
const get = (path) =>
  new Promise((resolve, reject) => {
    const { port } = server.address();
    http.get({ agent, port, path, host: '127.0.0.1' }, (response) => response.resume().on('end', resolve)).on('error', reject);
  });
exports.steps = 300;
exports.warmup = 200;
exports.expect = /p-koa\.cjs: slow → Map/;
exports.setup = () =>
  new Promise((resolve) => {
    server = http.createServer({ keepAliveTimeout: 0 }, app.callback()).listen(0, '127.0.0.1', resolve);
  });
exports.leak = () => get('/leak');
exports.repaired = () => get('/ok');

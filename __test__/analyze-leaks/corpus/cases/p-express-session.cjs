// express-session's MemoryStore: each visitor without a cookie gets a session.
'use strict';
const http = require('node:http');
const express = require('express');
const session = require('express-session');
const app = express();
const options = { secret: 's', resave: false, cookie: { maxAge: 86_400_000 } };
app.use('/all', session({ ...options, saveUninitialized: true }));
app.use('/used', session({ ...options, saveUninitialized: false }));
app.use((request, response) => response.end('ok'));
let server;
const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
const get = (path) =>
  new Promise((resolve, reject) => {
    const { port } = server.address();
    http.get({ agent, port, path, host: '127.0.0.1' }, (response) => response.resume().on('end', resolve)).on('error', reject);
  });
exports.steps = 400;
exports.warmup = 200;
exports.expect = /MemoryStore|memory\.js/;
exports.setup = () =>
  new Promise((resolve) => {
    server = http.createServer({ keepAliveTimeout: 0 }, app).listen(0, '127.0.0.1', resolve);
  });
exports.leak = () => get('/all');
exports.repaired = () => get('/used');

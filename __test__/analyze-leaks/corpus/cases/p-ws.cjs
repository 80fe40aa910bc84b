// Sockets of a chat room that is told of those who come and not of those who leave.
'use strict';
const { WebSocket, WebSocketServer } = require('ws');
const room = new Set();
let server;
exports.steps = 100;
exports.warmup = 60;
exports.expect = /p-ws\.cjs: room → Set/;
exports.setup = () =>
  new Promise((resolve) => {
    server = new WebSocketServer({ port: 0, host: '127.0.0.1' }, resolve);
    server.on('connection', (socket) => {
      room.add(socket);
      socket.on('message', (text) => {
        if (String(text) === 'bye') room.delete(socket);
        socket.close();
      });
    });
  });
const visit = (text) =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${server.address().port}`);
    socket.on('open', () => socket.send(text)).on('close', resolve).on('error', reject);
  });
exports.leak = () => visit('hello');
exports.repaired = () => visit('bye');

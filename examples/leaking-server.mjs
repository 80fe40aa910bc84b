// A small HTTP server with a leak, as they happen: a cache of sessions that nothing ever empties.
//
//   node examples/leaking-server.mjs [PORT]        then: kill -USR2 <pid>
//
// `npm start` runs it under load and takes its snapshots.

import { createServer } from 'node:http';
import { randomUUID } from 'node:crypto';
import heapdump from 'heapdump-rs';

class Session {
  constructor(request) {
    this.id = randomUUID();
    this.url = request.url;
    this.headers = { ...request.headers };
    this.createdAt = new Date();
    this.cart = Array.from({ length: 12 }, (_, n) => new CartItem(n, this));
    // The leak: the closure keeps the session, and a list that only grows keeps the closure.
    this.onExpire = () => sessions.delete(this.id);
  }
}

class CartItem {
  constructor(n, session) {
    this.sku = `SKU-${n}-${session.id}`;
    this.price = { amount: 100 + n, currency: 'EUR' };
    this.quantity = n % 3;
  }
}

const sessions = new Map();
const expiryListeners = [];

const server = createServer((request, response) => {
  const session = new Session(request);
  sessions.set(session.id, session);
  expiryListeners.push(session.onExpire);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ session: session.id, sessions: sessions.size }));
});

server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  const { port } = server.address();
  // A parent started with an IPC channel is told by a message, a person by a line.
  if (process.send) process.send({ port });
  else console.log(`http://127.0.0.1:${port}/  pid ${process.pid}; a snapshot: kill -USR2 ${process.pid}`);
});

export { heapdump, sessions };

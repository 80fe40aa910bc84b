// Small servers that leak in the ways that the guide names: `node server.cjs KIND leak|repaired`.
// GET / is a request; GET /snapshot?file=F writes a heap snapshot. Prints its port.
'use strict';
const { EventEmitter } = require('node:events');
const http = require('node:http');
const process = require('node:process');
const v8 = require('node:v8');

const [kind, variant] = process.argv.slice(2);
const leaks = variant === 'leak';
let requests = 0;

// 1. A cache that is never cleared, or one of at most 50 entries.
const cache = {};
const recent = new Map();
function globalCache(request, response) {
  const id = `item-${requests}`;
  const value = { id, computed: Array.from({ length: 20 }, (_, i) => `${id}:${i}`) };
  if (leaks) cache[id] = value;
  else {
    recent.set(id, value);
    if (recent.size > 50) recent.delete(recent.keys().next().value);
  }
  response.end(id);
}

// 2. Listeners on a long-lived emitter that no request removes.
const dataStream = new EventEmitter();
dataStream.setMaxListeners(0);
function eventListeners(request, response) {
  const chunks = [`started ${requests}`];
  const onData = (chunk) => chunks.push(chunk, response.statusCode);
  dataStream.on('data', onData);
  dataStream.emit('data', 'x');
  if (!leaks) response.on('finish', () => dataStream.removeListener('data', onData));
  response.end('ok');
}

// 3. Connections that are not given back to their pool.
class Connection {
  constructor(number) {
    this.number = number;
    this.buffer = new Array(64).fill(number);
  }
}
const pool = {
  free: [],
  busy: new Set(),
  take() {
    const connection = this.free.pop() ?? new Connection(requests);
    this.busy.add(connection);
    return connection;
  },
  release(connection) {
    this.busy.delete(connection);
    this.free.push(connection);
  },
};
function connections(request, response) {
  const connection = pool.take();
  response.end(String(connection.number));
  if (!leaks) pool.release(connection);
}

// 4. A timer for every login, that no logout clears.
const userSessions = new Map();
function timers(request, response) {
  const sessionId = `session-${requests}`;
  const user = { name: `user ${requests}`, roles: ['a', 'b'] };
  const timeout = setTimeout(() => userSessions.delete(sessionId), 30 * 60 * 1000);
  userSessions.set(sessionId, { user, timeout });
  if (!leaks) {
    const session = userSessions.get(sessionId);
    clearTimeout(session.timeout);
    userSessions.delete(sessionId);
  }
  response.end('ok');
}

const handlers = { globalCache, eventListeners, connections, timers };
const handler = handlers[kind];
const server = http.createServer((request, response) => {
  const url = new URL(request.url, 'http://localhost');
  if (url.pathname === '/snapshot') {
    v8.writeHeapSnapshot(url.searchParams.get('file'));
    response.end('written');
    return;
  }
  requests++;
  handler(request, response);
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));

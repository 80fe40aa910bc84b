// What a run of a test may do: `leaks` with what the error must say and a repaired twin each, and what only looks like a leak.
'use strict';
const { AsyncLocalStorage } = require('node:async_hooks');
const { once, EventEmitter } = require('node:events');
const http = require('node:http');
const { PassThrough } = require('node:stream');

class Session {
  constructor(run) {
    this.user = `user ${run}`;
  }
}

const sessions = new Map();
const bus = new EventEmitter().setMaxListeners(0);
const target = new EventTarget();
const waiting = [];
const texts = [];
const rows = [];
const cache = {};
let handler = () => {};
let made = 0;
const stopped = new Promise(() => {});
const context = new AsyncLocalStorage();
const stores = new Set();
const failures = [];

/** Each: what stays, how a run leaves nothing instead, what the error says. */
exports.leaks = {
  map: [(run) => void sessions.set(++made, new Session(run)), (run) => void sessions.set(0, new Session(run)), /Session objects.*works\.cjs: sessions/],
  listeners: [
    () => void bus.on('price', () => {}),
    () => { const listener = () => {}; bus.on('price', listener); bus.off('price', listener); },
    /bus → EventEmitter/,
  ],
  eventTarget: [
    () => target.addEventListener('price', () => {}),
    () => { const listener = () => {}; target.addEventListener('price', listener); target.removeEventListener('price', listener); },
    /target → EventTarget/,
  ],
  timers: [() => void setTimeout(() => {}, 86_400_000).unref(), () => clearTimeout(setTimeout(() => {}, 86_400_000)), /timers.*works\.cjs/],
  promises: [() => void waiting.push(new Promise(() => {})), () => new Promise(() => {}) && undefined, /promises.*waiting/],
  suspended: [
    (run) => void (async () => { await stopped; return run; })(),
    (run) => void (async () => { await null; return run; })(),
    /works\.cjs: stopped → Promise/,
  ],
  strings: [(run) => void texts.push(`text number ${run} `.repeat(3)), (run) => { texts[0] = `text number ${run} `.repeat(3); }, /strings.*texts/],
  arrays: [(run) => void rows.push([run, { run }]), (run) => { rows.length = 0; rows.push([run, { run }]); }, /rows/],
  dictionary: [(run) => { cache[`key ${run}`] = { run, text: 'a' }; }, (run) => { cache.key = { run, text: 'a' }; }, /cache/],
  wrapped: [
    () => { const inner = handler; handler = () => inner(); },
    () => { const inner = () => {}; handler = () => inner(); },
    /functions.*works\.cjs: handler/,
  ],
  errors: [(run) => void failures.push(new RangeError(`number ${run}`)), (run) => { failures[0] = new RangeError(`number ${run}`); }, /RangeError objects.*failures/],
  stores: [(run) => context.run({ run }, () => void stores.add(AsyncLocalStorage.snapshot())), (run) => context.run({ run }, () => {}), /stores/],
};

const kept = new WeakMap();
const keys = [];
const registry = new FinalizationRegistry(() => {});
const recent = new Map();
const log = [];
let server;

/** What leaves nothing, or not with every run. */
exports.clean = {
  nothing: () => {},
  server: async () => {
    // On one port: fetch() has a pool for each that it has been to.
    server ??= http.createServer((request, response) => response.end('fine')).listen(0).unref();
    if (!server.listening) await once(server, 'listening');
    const { port } = server.address();
    await (await fetch(`http://127.0.0.1:${port}/`)).text();
    await new Promise((resolve) => http.get({ port, agent: false }, (response) => response.resume().on('end', resolve)));
  },
  // Not together: Node.js 24 keeps what AbortSignal.any() makes of a timeout until that is over.
  abort: () => void [AbortSignal.timeout(60_000), AbortSignal.any([new AbortController().signal])],
  registry: (run) => registry.register({ run }, { held: run }, {}),
  weakMap: (run) => { keys[0] = { run }; kept.set(keys[0], { value: run }); },
  bounded: (run) => { recent.set(run, { run }); if (recent.size > 10) recent.delete(recent.keys().next().value); },
  compiled: (run) => new Function(`return ${run} + ${Math.random()}`)(),
  errors: (run) => { try { throw new Error(`number ${run}`); } catch (error) { void error.stack; } },
  later: (run) => void setTimeout(() => run, 50).unref(),
  streams: async () => { const stream = new PassThrough(); stream.end('text'); for await (const part of stream) void part; },
  context: () => require('node:vm').runInNewContext('1 + 1'),
  lines: (run) => { log.push({ run }); if (log.length > 5) log.length = 0; },
  crypto: () => void require('node:crypto').createHash('sha256').update('a').digest('hex'),
  zlib: () => new Promise((resolve) => require('node:zlib').gzip('text', resolve)),
  files: () => require('node:fs/promises').readFile(__filename),
  formats: (run) => new Intl.NumberFormat('de').format(run),
  clones: (run) => structuredClone({ run, map: new Map([[run, 1]]) }) && undefined,
};

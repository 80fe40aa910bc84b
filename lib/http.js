'use strict';

// HTTP: a handler that hands out a snapshot of this process to whoever may have it, and one for health checks. They bind
// no port and know no route; both work under node:http, Express, Fastify, Koa and Hono.

const path = require('node:path');

const { recipientsOf } = require('./encrypt.js');
const { endingOf } = require('./extensions.js');
const { adapt, sendJson } = require('./http/adapt.js');
const { readAccess } = require('./http/access.js');
const { compressionOf, refuseWanted, wantedOf } = require('./http/wanted.js');
const { invalidType, invalidValue } = require('./errors.js');
const { memoryUsage } = require('./memory-usage.js');

const DEFAULT_INTERVAL = 10_000;
/** A status for what a client can do something about; everything else is 500. */
const STATUS = {
  ERR_HEAPDUMP_BUSY: 409,
  ERR_HEAPDUMP_NO_MEMORY: 503,
  ERR_HEAPDUMP_FORK_UNAVAILABLE: 503,
  ERR_HEAPDUMP_IMAGE_UNSUPPORTED: 501,
  ERR_HEAPDUMP_NOT_RESPONDING: 503,
  ERR_HEAPDUMP_TIMEOUT: 504,
  ERR_HEAPDUMP_EXPORT: 502,
  ENOSPC: 507,
  EDQUOT: 507,
};

/**
 * Answers with a snapshot: streamed, or written to `directory` or to `exporter`, where the answer is
 * `{snapshot, size}`. Throws without a `token` or an `authorize` function: a snapshot holds every secret of the process.
 */
function snapshotHandler(options) {
  const access = readAccess(options);
  const { snapshot, images, compress, directory, exporter, minInterval, log } = readOptions(options);
  const deliver = exporter ? toExporter : directory !== undefined ? toDirectory : toClient;
  let running = false;
  let notBefore = -Infinity;
  let files = 0;

  return adapt(async (request, response) => {
    const entry = describe(request);
    const start = performance.now();
    const wanted = wantedOf(request);
    const refusal = (await access.refuse(request)) ?? refuseWanted(wanted, images || snapshot.output === 'image') ?? wait();
    if (refusal) {
      const { status, reason, headers } = refusal;
      sendJson(request, response, status, { error: reason }, headers);
      log?.({ ...entry, status, reason });
      return;
    }
    running = true;
    notBefore = start + minInterval;
    const outcome = await whileClientStays(response, (signal) => {
      const chosen = { ...snapshot, ...wanted };
      const call = { ...chosen, ...compressionOf(compress, chosen, request, deliver === toClient), signal };
      return deliver(call, request, response);
    }).catch((error) => fail(error, request, response));
    running = false;
    log?.({ ...entry, ...outcome, duration: Math.round(performance.now() - start) });
  });

  /** One at a time, and not too often. */
  function wait() {
    if (running) return { status: 409, reason: 'a snapshot is being taken already', headers: { 'Retry-After': '10' } };
    const left = notBefore - performance.now();
    if (left <= 0) return undefined;
    const seconds = String(Math.ceil(left / 1000));
    return { status: 429, reason: `the last snapshot was too recent: wait ${seconds} s`, headers: { 'Retry-After': seconds } };
  }

  async function toClient({ encoding, ...call }, request, response) {
    const { once } = require('node:events');
    const { pipeline } = require('node:stream/promises');
    const stream = require('./stream.js').createSnapshotStream(call);
    let report;
    stream.once('report', (value) => (report = value));
    // Nobody else listens between the two awaits.
    stream.on('error', () => {});
    // With the first bytes there is a child that writes: until then a failure has a status of its own.
    await once(stream, 'readable');
    const { kind } = stream;
    const isEncoded = encoding !== undefined && kind === 'snapshot';
    const name = fileName(kind, isEncoded ? undefined : call.compress, call);
    const headers = { ...HEADERS, 'Content-Type': 'application/octet-stream', Vary: 'Accept-Encoding' };
    headers['Content-Disposition'] = `attachment; filename="${name}"`;
    headers['X-Heapdump-Kind'] = kind;
    if (isEncoded) headers['Content-Encoding'] = encoding;
    response.writeHead(200, headers);
    // An error after this destroys the response: a client never sees a short answer that ends well.
    await pipeline(stream, response);
    return { status: 200, ...isImage(kind), bytes: report.bytes };
  }

  async function toDirectory(call, request, response) {
    const file = path.join(directory, fileName('snapshot'));
    const { path: snapshot, bytes, kind } = await require('./promises.js').writeSnapshot(file, call);
    sendJson(request, response, 200, { snapshot, size: bytes, ...isImage(kind) });
    return { status: 200, ...isImage(kind), snapshot, bytes };
  }

  async function toExporter(call, request, response) {
    const { snapshotSource } = require('./exporters/snapshot-source.js');
    if (call.lowMemory === 'image') await exporter.prepare?.();
    const { kind, open, close } = await snapshotSource(call);
    try {
      const { location, bytes } = await exporter.export(open, { name: fileName(kind, call.compress, call), signal: call.signal });
      sendJson(request, response, 200, { snapshot: location, size: bytes, ...isImage(kind) });
      return { status: 200, ...isImage(kind), snapshot: location, bytes };
    } finally {
      close();
    }
  }

  /** Of a file in a directory, `call` aside, the rest of the name comes with it. */
  function fileName(kind, compression, call) {
    files += 1;
    return `heap-${Date.now()}-${process.pid}-${files}${endingOf(kind, compression, call !== undefined && recipientsOf(call.encryptTo) !== undefined)}`;
  }
}

/** The guide's answer is `{snapshot, size}`, and says no more of a snapshot. */
const isImage = (kind) => (kind === 'image' ? { kind } : {});

/**
 * 200, or 503 over a limit of the heap or of the resident memory. Both are this process' own: a child that takes a
 * snapshot counts in neither.
 */
function healthHandler(options = {}) {
  if (options === null || typeof options !== 'object') throw invalidType('options', 'an object', options);
  const limits = {
    heap: readLimit('maxHeap', options.maxHeap, () => require('node:v8').getHeapStatistics().heap_size_limit),
    rss: readLimit('maxRss', options.maxRss, memoryOfMachine),
  };
  return adapt(async (request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      sendJson(request, response, 405, { error: 'GET or HEAD only' }, { Allow: 'GET, HEAD' });
      return;
    }
    const { rss, heapUsed } = memoryUsage();
    const over = [];
    if (heapUsed > limits.heap) over.push(`the heap holds ${heapUsed} bytes of ${limits.heap} allowed`);
    if (rss > limits.rss) over.push(`resident are ${rss} bytes of ${limits.rss} allowed`);
    const status = over.length > 0 ? 'over limit' : 'ok';
    sendJson(request, response, over.length > 0 ? 503 : 200, { status, over, heapUsed, rss });
  });
}

const GONE = new Set(['ABORT_ERR', 'ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET', 'EPIPE']);

const HEADERS = {
  'Cache-Control': 'no-store, no-transform',
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

function readOptions(options) {
  const { snapshot = {}, images = false, compress = 'accept', directory, exporter, minInterval = DEFAULT_INTERVAL, log = print } = options;
  if (![false, 'accept', 'gzip', 'zstd'].includes(compress)) {
    throw invalidValue('compress', "one of 'accept', 'gzip', 'zstd', false", compress);
  }
  if (typeof images !== 'boolean') throw invalidType('images', 'a boolean', images);
  if (directory !== undefined && typeof directory !== 'string') throw invalidType('directory', 'a string', directory);
  if (exporter !== undefined && typeof exporter?.export !== 'function') throw invalidType('exporter', 'an exporter', exporter);
  if (exporter !== undefined && directory !== undefined) throw invalidValue('directory', 'absent beside exporter', directory);
  if (!(typeof minInterval === 'number' && minInterval >= 0)) throw invalidValue('minInterval', 'milliseconds', minInterval);
  if (log !== false && typeof log !== 'function') throw invalidType('log', 'a function or false', log);
  // Nobody sees a dump over HTTP stop the process, so it does not do so unless that is asked for.
  const call = { fallback: 'error', busy: 'reject', ...snapshot };
  return { snapshot: call, images, compress, directory, exporter, minInterval, log: log || undefined };
}

/** Aborts when the connection closes before the answer is out. */
async function whileClientStays(response, body) {
  const controller = new AbortController();
  const closed = () => {
    if (!response.writableFinished) controller.abort(new Error('the client went away'));
  };
  if (response.destroyed || response.socket?.destroyed) closed();
  response.once('close', closed);
  try {
    return await body(controller.signal);
  } catch (error) {
    // A failed answer is closed as well: what the client's leaving does to a snapshot has names of its own.
    if (controller.signal.aborted && GONE.has(error.code)) throw Object.assign(error, { clientGone: true });
    throw error;
  } finally {
    response.removeListener('close', closed);
  }
}

function fail(error, request, response) {
  const status = error.clientGone ? 499 : STATUS[error.code] ?? 500;
  if (response.headersSent) response.destroy();
  else if (!error.clientGone) sendJson(request, response, status, { error: error.message, code: error.code });
  return { status, reason: error.clientGone ? 'the client went away' : error.message };
}

/** Who asked. What the client says of itself is cut, and printed as JSON. */
function describe(request) {
  const forwardedFor = request.headers['x-forwarded-for']?.slice(0, 200);
  return { method: request.method, remote: request.socket?.remoteAddress, ...(forwardedFor && { forwardedFor }) };
}

const print = (entry) => console.warn(`heapdump-rs/http: ${JSON.stringify(entry)}`);

/** Bytes, or up to 1 a part of what there is. */
function readLimit(name, value, whole) {
  if (value === undefined) return Infinity;
  if (!(typeof value === 'number' && value > 0)) throw invalidValue(name, 'bytes, or a part up to 1', value);
  return value <= 1 ? Math.floor(value * whole()) : value;
}

function memoryOfMachine() {
  const machine = require('node:os').totalmem();
  const container = process.constrainedMemory?.();
  return container > 0 && container < machine ? container : machine;
}

module.exports = { snapshotHandler, healthHandler };

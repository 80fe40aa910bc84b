'use strict';

// A process of which one and the same child writes an image first and then its snapshot: subject.cjs JSON, with
// `{where, megabytes, image, plain, embedAll}`. `where` is `main`, `worker`, `busy` (other threads allocate, libuv's pool works)
// or `limit` (V8's heap limit, which the command line sets).

const crypto = require('node:crypto');
const os = require('node:os');
const { Worker, isMainThread, workerData } = require('node:worker_threads');

const { heap, nextId } = require('../../lib/native.js');

const wanted = isMainThread ? JSON.parse(process.argv[2]) : workerData;
const kept = [];

/** The test's own option `twin` is the native code's alone. */
const options = {
  inProcess: false,
  fallbackInline: false,
  exposeInternals: false,
  exposeNumericValues: false,
  stableIds: false,
  fileMode: 0o600,
  rejectWhenBusy: false,
  progress: false,
  embedAll: wanted.embedAll,
  twin: Buffer.from(wanted.image),
};

function grow(megabytes) {
  const start = process.memoryUsage().heapUsed;
  const record = (n) => ({ n, name: `record ${n}`, at: new Date(n), tags: [n, `tag-${n % 97}`], more: new Map([[n, { n }]]), notify: () => n });
  while (process.memoryUsage().heapUsed - start < megabytes * 1e6) for (let i = 0; i < 500; i++) kept.push(record(kept.length));
}

function write() {
  const alive = setInterval(() => {}, 1000);
  heap.write(nextId(), Buffer.from(wanted.plain), options, ({ report, error }) => {
    clearInterval(alive);
    if (error) throw new Error(error.message);
    process.stdout.write(`${JSON.stringify({ attempts: report.attempts, bytes: report.bytes })}\n`, () => process.exit(0));
  });
}

function growToLimit() {
  const limit = {
    path: Buffer.from(wanted.plain),
    neverOverAnother: false,
    atLimit: 'exit',
    most: 1,
    announce: false,
    keepRecord: false,
    host: os.hostname(),
    node: process.version,
    thread: 0,
  };
  const missing = heap.armNearHeapLimit(limit, options, () => {});
  if (missing) throw new Error(missing.message);
  setInterval(() => grow(1), 0);
}

function allocate() {
  for (;;) {
    const garbage = [];
    for (let i = 0; i < 10_000; i++) garbage.push({ i, text: `${i}` });
  }
}

function work() {
  crypto.pbkdf2('a', 'b', 100_000, 32, 'sha512', work);
}

if (!isMainThread && wanted.allocates) {
  allocate();
} else if (wanted.where === 'worker' && isMainThread) {
  new Worker(__filename, { workerData: wanted });
} else if (wanted.where === 'limit') {
  growToLimit();
} else {
  grow(wanted.megabytes);
  if (wanted.where === 'busy') {
    for (let i = 0; i < 2; i++) new Worker(__filename, { workerData: { ...wanted, allocates: true } }).unref();
    for (let i = 0; i < 4; i++) work();
    // Once they are at work.
    setTimeout(write, 300);
  } else {
    write();
  }
}

'use strict';

// A Node.js process without heapdump-rs, at work in the way its argument says, while it is captured from outside. What goes wrong in
// it is said as `wrong: …`, once it is asked by a line on standard input: then it says `checked N`, the work that it has done.

const [, , way = 'idle', megabytes = '0'] = process.argv;

class PlantedOutside {
  text = `planted in process ${process.pid}`;
}

globalThis.planted = new PlantedOutside();
globalThis.kept = Array.from({ length: Number(megabytes) * 8000 }, (_, i) => ({ i, text: `number ${i}` }));

let done = 0;
const wrong = [];
const fail = (what) => wrong.length < 10 && wrong.push(what);
/** The longest that a timer of 1 ms was late since the last line. */
let stall = 0;

const WAYS = {
  idle() {
    setInterval(() => done++, 20);
  },
  // A server that asks itself, workers that post messages, libuv's pool, and a child each 50 ms.
  http() {
    const http = require('node:http');
    const { spawn } = require('node:child_process');
    const { pbkdf2 } = require('node:crypto');
    workers("const all = []; for (;;) { for (let i = 0; i < 1000; i++) all[i] = { i }; require('node:worker_threads').parentPort.postMessage(all.length); }");
    const server = http.createServer((_, response) => response.end(JSON.stringify(allocate().length))).listen(0, '127.0.0.1', () => {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
      const ask = () =>
        http
          .get({ port: server.address().port, agent }, (response) => {
            let text = '';
            response.setEncoding('utf8').on('data', (chunk) => (text += chunk)).on('end', () => (text === '1000' ? done++ : fail(`answered ${text}`), setImmediate(ask)));
          })
          .on('error', (error) => fail(`request: ${error.message}`));
      ask();
    });
    // A busy machine may keep the main thread longer than it keeps an idle connection.
    server.keepAliveTimeout = 0;
    const again = () => pbkdf2('a', 'b', 2000, 64, 'sha512', (error) => (error ? fail(error.message) : again()));
    again();
    const start = () =>
      spawn('/bin/true')
        .on('error', (error) => fail(`spawn: ${error.message}`))
        .on('exit', (code) => (code === 0 ? setTimeout(start, 50) : fail(`a child ended with ${code}`)));
    start();
  },
  busy() {
    turn(() => {
      for (let i = 0; i < 20; i++) allocate();
    });
  },
  // The same numbers each time, by doubles and by vectors of them.
  compute() {
    const { createHash } = require('node:crypto');
    const once = () => {
      let sum = 0;
      for (let i = 1; i < 200_000; i++) sum += Math.sqrt(i) * Math.sin(i);
      return `${sum} ${createHash('sha256').update(new Float64Array(50_000).fill(sum)).digest('hex')}`;
    };
    const expected = once();
    turn(() => once() === expected || fail('another result'));
  },
  collect() {
    turn(() => {
      allocate();
      global.gc();
    });
  },
  // Workers in libuv's and zlib's own code.
  native() {
    workers("const z = require('node:zlib'); const b = Buffer.alloc(1 << 20, 'a'); for (;;) { z.gzipSync(b); require('node:worker_threads').parentPort.postMessage(1); }");
    turn(allocate);
  },
  // Calls that last: what is left of their time is waited for after a stop, and no longer.
  blocked() {
    const word = new Int32Array(new SharedArrayBuffer(4));
    turn(() => {
      const begin = performance.now();
      const outcome = Atomics.wait(word, 0, 0, 150);
      const took = performance.now() - begin;
      if (outcome !== 'timed-out' || took < 149) fail(`waited ${took} ms: ${outcome}`);
    });
  },
  // libuv asks the kernel for it by io_uring where UV_USE_IO_URING=1 says so (Node.js 20).
  files() {
    const fs = require('node:fs/promises');
    const { length } = require('node:fs').readFileSync(__filename);
    const again = () => fs.readFile(__filename).then((text) => (text.length === length ? (done++, again()) : fail('another length')), (error) => fail(error.message));
    for (let i = 0; i < 4; i++) again();
  },
  // Three isolates beside the main one: in its event loop, at work, and asleep in JavaScript. Each says which thread is its own.
  isolates() {
    const { Worker } = require('node:worker_threads');
    const source = `
      const { parentPort, workerData: { name, word } } = require('node:worker_threads');
      globalThis.planted = new (eval('(class Planted' + name + ' {})'))();
      parentPort.postMessage(Number(require('node:fs').readlinkSync('/proc/thread-self').split('/').at(-1)));
      if (name === 'Idle') setInterval(() => parentPort.postMessage(0), 20);
      if (name === 'Busy') for (let all = []; ; ) for (let i = 0; i < 1000; i++) all[i] = { i };
      if (name === 'Asleep') for (;;) Atomics.wait(new Int32Array(word), 0, 0);`;
    for (const name of ['Idle', 'Busy', 'Asleep']) {
      new Worker(source, { eval: true, workerData: { name, word: new SharedArrayBuffer(4) } })
        .on('message', (thread) => (thread > 0 ? console.log(`thread ${thread} ${name}`) : done++))
        .on('error', (error) => fail(error.message))
        .on('exit', () => fail('a worker ended'));
    }
  },
  // Its threads call themselves as the kernel calls its own.
  named() {
    const fs = require('node:fs');
    for (const thread of fs.readdirSync('/proc/self/task')) fs.writeFileSync(`/proc/self/task/${thread}/comm`, 'iou-wrk-1');
    WAYS.idle();
  },
  // Native code that does not come back.
  spin() {
    setTimeout(() => require('node:crypto').pbkdf2Sync('a', 'b', 2 ** 31 - 1, 64, 'sha512'), 500);
  },
  signals() {
    // libuv's handler works while a lock is held: left half-way, it is held for ever.
    for (const name of ['SIGUSR2', 'SIGTRAP']) process.on(name, () => done++);
  },
};

function turn(body) {
  setImmediate(function next() {
    body();
    done++;
    setImmediate(next);
  });
}

function workers(source) {
  const { Worker } = require('node:worker_threads');
  for (let i = 0; i < 2; i++) {
    new Worker(source, { eval: true }).on('message', () => {}).on('error', (error) => fail(error.message)).on('exit', () => fail('a worker ended'));
  }
}

function allocate() {
  const all = [];
  for (let i = 0; i < 1000; i++) all.push({ i, text: `short-lived ${i}` });
  return all;
}

WAYS[way]();

let last = performance.now();
setInterval(() => {
  const now = performance.now();
  stall = Math.max(stall, now - last);
  last = now;
}, 1);

process.stdin.on('data', () => {
  for (const what of wrong) console.log(`wrong: ${what}`);
  console.log(`checked ${done} ${stall.toFixed(1)}`);
  stall = 0;
  end.refresh();
});
process.stdin.on('end', () => process.exit());
setTimeout(() => console.log('ready'), 300);
// When nobody asks it any more.
const end = setTimeout(() => process.exit(1), require('../../harness/limits.cjs').PROGRAM).unref();

'use strict';

// A process with a random marker in every place that a snapshot shows, which then writes one: node subject.cjs
// '{"file", "later", "options"}'; `later` is one more, when it has leaked. It says on standard output where each marker is.

const { AsyncLocalStorage } = require('node:async_hooks');
const http = require('node:http');
const path = require('node:path');
const vm = require('node:vm');
const { Worker } = require('node:worker_threads');

const { file, later, options } = JSON.parse(process.argv[2]);
const places = [];
const kept = [];
globalThis.kept = kept;

/** 32 hexadecimal digits that are nowhere else; `where` says what a reader of a failure looks for. */
function marker(where) {
  const text = require('node:crypto').randomBytes(16).toString('hex');
  // Only the caller keeps the text: what is said of it is backwards.
  places.push([where, [...text].reverse().join('')]);
  return text;
}

const hold = (value) => void kept.push(value);

async function fill() {
  hold(marker('a plain string'));
  hold(`${marker('a concatenated string')}-${Date.now()}-${'x'.repeat(20)}`);
  hold(marker('a sliced string').repeat(3).slice(1, 60));
  hold(`Ω${marker('a two-byte string')}Ω`);
  hold(`😀${marker('a string with a surrogate pair')}`);
  hold(Buffer.from(marker('an external string').repeat(40_000)).toString('latin1'));
  hold(new RegExp(`${marker('a regular expression')}[a-z]+`));
  hold(new RegExp(marker('a regular expression that looks like a name')));
  hold(Symbol(marker('the description of a symbol')));
  hold(Symbol.for(marker('a registered symbol')));
  hold({ [Symbol(marker('a symbol for a key'))]: 1 });
  hold(BigInt(`0x${marker('a bigint')}`));
  hold({ a: { b: { c: [marker('deep in an object')] } } });
  hold(JSON.parse(`{"user":{"token":"${marker('JSON')}","list":["${marker('a list in JSON')}"]}}`));
  hold(JSON.stringify({ password: marker('a string of JSON') }));
  hold(new Map([[marker('a key of a Map'), marker('a value of a Map')]]));
  hold(new Set([marker('an element of a Set')]));
  const key = {};
  hold(key);
  const weak = new WeakMap([[key, marker('a text in a WeakMap')]]);
  hold(weak);
  const expression = new RegExp(marker('an expression for a key of a WeakMap'));
  hold(expression);
  weak.set(expression, { a: 1 });
  const described = new RegExp(marker('an expression in a WeakMap'));
  weak.set(kept, described);
  const target = { text: marker('the target of a WeakRef') };
  hold(new WeakRef(target));
  hold(target);
  const registry = new FinalizationRegistry(() => {});
  registry.register(target, marker('the held value of a FinalizationRegistry'));
  hold(registry);
  const closed = marker('the variable of a closure');
  hold(() => closed);
  class Account {
    #secret = marker('a private field');
    static token = marker('a static field');
    get secret() {
      return this.#secret;
    }
  }
  hold(new Account());
  hold(Account);
  for (const count of [10, 10_000]) {
    const dictionary = Object.create(null);
    for (let at = 0; at < count; at++) dictionary[`user-${at}`] = at;
    dictionary[marker(`a key of a dictionary of ${count}`)] = marker(`a value of a dictionary of ${count}`);
    delete dictionary['user-0'];
    hold(dictionary);
  }
  hold({ [marker('a key of an object')]: 1 });
  hold({ get [marker('the name of a getter')]() { return 1; } });
  hold({ [`m${marker('the name of a function made at run time')}`]: () => {} });
  hold({ [`C${marker('the name of a class made at run time')}`]: class {} });
  const Named = { [`I${marker('the class of an instance')}`]: class { x = 1; } };
  for (const Each of Object.values(Named)) hold(new Each());
  hold({ [Symbol.toStringTag]: marker('a toStringTag') });
  hold(new Function(`const v${marker('a variable of evaluated code')} = 1; return () => v`)); // never called
  hold(vm.runInThisContext(`(() => '${marker('a literal of evaluated code')}')`));
  hold(vm.runInThisContext('() => 1', { filename: `/app/${marker('the path of a script')}/x.js` }));
  hold(vm.runInContext('globalThis', vm.createContext({ [`g${marker('a global of another context')}`]: 1 })));
  const tag = (strings) => strings;
  hold(new Function('tag', `return tag\`${marker('a template string')} \${1}\``)(tag));
  hold(new Error(marker('the message of an error')));
  hold(new Error('outer', { cause: new Error(marker('the cause of an error')) }));
  hold(Object.assign(new TypeError('x'), { detail: marker('a property of an error') }));
  const stack = new Error(marker('the stack of an error'));
  hold(stack.stack);
  hold(new URL(`https://example.org/${marker('the path of a URL')}?q=${marker('the query of a URL')}`));
  hold(new URLSearchParams({ q: marker('a URLSearchParams') }));
  hold(new Headers({ authorization: `Bearer ${marker('a header of fetch')}` }));
  hold(new Intl.DateTimeFormat('en-US', { timeZone: 'Europe/Berlin' }));
  hold(new Intl.NumberFormat('en').format(12345) + marker('beside Intl'));
  hold(Promise.resolve(marker('the value of a promise')));
  hold(Promise.reject(new Error(marker('the reason of a promise'))).catch((error) => error));
  hold((function* () { const local = yield marker('a generator'); return local; })());
  const paused = (async () => { const inside = marker('inside an async function'); await new Promise(() => {}); return inside; })();
  hold(paused);
  const storage = new AsyncLocalStorage();
  storage.run({ user: marker('an AsyncLocalStorage') }, () => hold(setTimeout(() => {}, 1e9).unref()));
  hold(storage);
  hold(function bound() {}.bind(null, marker('an argument that is bound')));
  hold(new Proxy({ text: marker('behind a Proxy') }, {}));
  hold(Object.freeze([marker('a frozen array')]));
  hold(new Date().toISOString() + marker('after a date'));
  hold(Object.assign([], { [`k${marker('a named property of an array')}`]: 1 }));
  hold(Array.from({ length: 3 }, (_, at) => `${at}${marker(`of an array, ${at}`)}`));
  hold(process.env.REDACT_TEST);
  hold(Number(`0x${marker('a number').slice(0, 12)}`));
  globalThis[`g${marker('a global variable')}`] = 1;
  hold(new Worker('require("node:worker_threads").parentPort.once("message", () => {}); const d = require("node:worker_threads").workerData;', { eval: true, workerData: { text: marker('worker data') } }));
  await request();
}

/** Headers, cookies and a body, of a request that has come and is still held. */
function request() {
  return new Promise((resolve) => {
    const server = http.createServer((incoming, response) => {
      let body = '';
      incoming.setEncoding('utf8').on('data', (text) => (body += text)).on('end', () => {
        hold({ incoming, body, cookies: incoming.headers.cookie.split('; ') });
        response.setHeader('set-cookie', `session=${marker('a cookie that is set')}`);
        response.end();
      });
    });
    hold(server);
    server.listen(0, '127.0.0.1', () => {
      const headers = { authorization: `Bearer ${marker('a header')}`, cookie: `session=${marker('a cookie')}`, [`x-${marker('the name of a header')}`]: '1' };
      const { port } = server.address();
      const sent = http.request({ port, method: 'POST', path: `/u/${marker('the path of a request')}`, headers }, (answer) => {
        hold(answer.headers);
        answer.resume().on('end', resolve);
      });
      sent.end(marker('the body of a request'));
    });
  });
}

fill().then(async () => {
  const { writeSnapshot } = require(path.join(__dirname, '../../lib/promises.js'));
  // What was said of the markers is not in the heap any more when the snapshot is taken.
  process.stdout.write(`${JSON.stringify(places.splice(0))}\n`, async () => {
    try {
      const report = await writeSnapshot(file, options);
      class Leaked { text = `item ${kept.length}`; }
      if (later) {
        for (let at = 0; at < 3000; at++) hold(new Leaked());
        await writeSnapshot(later, options);
      }
      process.stderr.write(`${JSON.stringify({ bytes: report.bytes, mode: report.mode })}\n`);
      process.exit(0);
    } catch (error) {
      process.stderr.write(`${error.code}: ${error.message}\n`);
      process.exit(1);
    }
  });
});

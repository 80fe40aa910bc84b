// One of each kind of thing that `suspects` inspects, in known numbers: `node planted.cjs FILE`.
'use strict';
const { AsyncLocalStorage } = require('node:async_hooks');
const { EventEmitter } = require('node:events');
const vm = require('node:vm');

class Thing {}
const many = (count, make) => Array.from({ length: count }, (_, index) => make(index));

const errors = many(150, (index) => new TypeError(`number ${index}`));
const stopped = new Promise(() => {});
async function waiter() {
  await stopped;
}
for (let i = 0; i < 200; i++) waiter();
const pending = many(170, () => {
  const promise = new Promise(() => {});
  promise.then(function later() {});
  return promise;
});
function* count() {
  yield 1;
}
const generators = many(120, () => {
  const generator = count();
  generator.next();
  return generator;
});
const store = new AsyncLocalStorage();
const onTimer = () => {};
for (let i = 0; i < 130; i++) store.run({ request: i }, () => setTimeout(onTimer, 86_400_000).unref());
const contexts = many(12, () => vm.createContext({}));
const slices = many(10, (index) => Buffer.alloc(100_000, 97 + index).toString().slice(5, 50));
const joined = many(3000, (index) => ({ text: `the first part of text ${index}` + String(index * 7) }));
const same = many(3000, () => ({ text: Buffer.from('this very text is there many times').toString() }));
const map = new Map(many(3000, (index) => [`key ${index}`, new Thing()]));
const set = new Set(many(2500, () => new Thing()));
const list = many(5000, () => new Thing());
const dictionary = Object.fromEntries(many(1500, (index) => [`name of ${index}`, { text: `value of ${index}` }]));
const sparse = new Array(20_000);
sparse[5] = new Thing();
sparse[19_999] = new Thing();
const empty = many(1500, () => ({ inner: new Map() }));
const buffers = new (class Queue {
  waiting = many(20, () => Buffer.alloc(100_000));
})();
const bus = new EventEmitter().setMaxListeners(0);
for (let i = 0; i < 40; i++) bus.on('price', function onPrice() { return i; });
const target = new EventTarget();
require('node:events').setMaxListeners(0, target);
for (let i = 0; i < 30; i++) target.addEventListener('price', () => i);
const sockets = many(110, () => new (require('node:net').Socket)());

globalThis.keep = () => [
  errors, pending, generators, store, contexts, slices, joined, same, map, set, list, dictionary, sparse, empty, buffers, bus, target, sockets,
];
setImmediate(() => {
  require('node:v8').writeHeapSnapshot(process.argv[2]);
  process.exit();
});

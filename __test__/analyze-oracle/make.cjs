// Makes snapshots of one kind of heap: `node make.cjs KIND FIRST [SECOND]`. With a second file, some of
// the heap comes and goes before that is written.
'use strict';
const fs = require('node:fs');
const { Session } = require('node:inspector');
const v8 = require('node:v8');
const vm = require('node:vm');

const [kind, first, second] = process.argv.slice(2);

class Account {
  #secret = 1.5;
  constructor(i) {
    this.i = i;
    this.label = `account ${i}`;
    this.secret = () => this.#secret + i;
  }
}

const kinds = {
  plain: (i) => ({ i, name: `name ${i}`, nested: { x: i, y: [i], 'a,b': 1, "it's": 2 } }),
  classes: (i) => new Account(i),
  closures: (i) => {
    const big = new Array(10).fill(`captured ${i}`);
    const one = () => big.length + i;
    const two = () => one() + big.length;
    return { one, two, bound: two.bind({ i }) };
  },
  weak: (i) => {
    const key = { key: i };
    const map = new WeakMap([[key, { value: i, back: key }]]);
    return { key, map, ref: new WeakRef(key), set: new WeakSet([key]), other: shared(key, i) };
  },
  typed: (i) => [new Uint8Array(100 + i), new Float64Array(10), Buffer.alloc(5000 + i), new DataView(new ArrayBuffer(64))],
  strings: (i) => {
    const cons = `left ${i} `.repeat(3) + `right ${i}`.repeat(4);
    return [cons, cons.slice(3, 40), Symbol(`symbol ${i}`), 'twice'.concat(i % 7), `ü ${i}  \u{1f600} \ud800`];
  },
  external: (i) => Buffer.alloc(1_100_000 + i, 'x').toString('latin1'),
  contexts: (i) => (i < 4 ? vm.createContext({ i, inner: vm.runInNewContext('({a: [1, 2], f() {}})') }) : i),
  arrays: (i) => (i === 0 ? holey() : i === 1 ? new Array(300_000).fill(0.5) : { 4294967294: i, 3000000000: i }),
  maps: (i) => [new Map([[i, { i }], ['k', i]]), new Set([i, `s${i}`]), Object.fromEntries([[`p${i}`, i]])],
  misc: (i) => [/re(\d+)/g, 10n ** 30n + BigInt(i), new Date(i), Promise.resolve(i), new Proxy({}, {}), new Error(`e${i}`), function* g() { yield i; }(), Object.create(null)],
};

const sharedTable = new WeakMap();
function shared(key, i) {
  sharedTable.set(key, [i, key]);
  return key;
}
function holey() {
  const array = [];
  array[4_000_000_000] = { far: true };
  array[2_147_483_648] = { sign: true };
  array[5] = { near: true };
  return array;
}

const options = {};
if (kind.endsWith('+internals')) options.exposeInternals = true;
if (kind.endsWith('+numbers')) options.exposeNumericValues = true;
// A recording of allocations on a timeline, as DevTools makes it: stacks and samples are in the file.
const recording = kind.endsWith('+traces') ? new Session() : undefined;
main();

async function main() {
  recording?.connect();
  if (recording) await post('HeapProfiler.startTrackingHeapObjects', { trackAllocations: true });
  const make = kinds[kind.replace(/\+.*/, '')];
  globalThis.held = Array.from({ length: 200 }, (_, i) => make(i));
  await write(first);
  if (second) {
    globalThis.held.splice(10, 50);
    globalThis.held.push(...Array.from({ length: 120 }, (_, i) => make(i + 1000)));
    await write(second);
  }
  recording?.disconnect();
}

async function write(file) {
  const stream = fs.openSync(file, 'w');
  if (recording) {
    const write = ({ params }) => fs.writeSync(stream, params.chunk);
    recording.on('HeapProfiler.addHeapSnapshotChunk', write);
    await post('HeapProfiler.takeHeapSnapshot');
    recording.off('HeapProfiler.addHeapSnapshotChunk', write);
  } else {
    const snapshot = v8.getHeapSnapshot(options);
    for (let chunk; (chunk = snapshot.read()) !== null;) fs.writeSync(stream, chunk);
  }
  fs.closeSync(stream);
}

function post(method, options) {
  return new Promise((resolve, reject) => {
    recording.post(method, options, (error) => (error ? reject(error) : resolve()));
  });
}

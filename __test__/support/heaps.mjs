// Snapshots of small programs, written by the program itself.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';

import limits from '../../harness/limits.cjs';

const START = 1_795_262_584_567;
const HOUR = 3_600_000;

/** Sessions that stay in a Map, a list, a cache that grows, buffers; texts that nobody is to see. */
const SERVER = `
class Session { constructor(i) { this.user = { name: 'user ' + i, mail: 'somebody' + i + '@example.com' }; this.data = new Array(150).fill(i + 0.5); } }
class Entry { constructor(i) { this.text = 'entry number ' + i; } }
const sessions = new Map(), cache = [], buffers = [], tokens = {};
let list = null;
globalThis.keep = () => [sessions, cache, buffers, tokens, list];
for (let round = 0; round < Number(process.argv[2]); round++) {
  for (let i = 0; i < 1000; i++) sessions.set('session-' + round + '-' + i, new Session(round * 1000 + i));
  for (let i = 0; i < 500; i++) cache.push(new Entry(i));
  for (let i = 0; i < 500; i++) list = { value: 'value ' + i, next: list };
  for (let i = 0; i < 50; i++) tokens['somebody' + round + i + '@example.com'] = 'token-' + i + '-' + round;
  buffers.push(Buffer.alloc(200000));
  require('node:v8').writeHeapSnapshot('heap-used-' + (${START} + round * ${HOUR}) + '.heapsnapshot');
}`;

/** What would be markup, script or another table, if it were not text. */
export const HOSTILE = '</script><script>alert(1)</script><img src=x onerror=alert(2)><!--\u2028|`x` [a](javascript:alert(3)) @everyone {{7*7}} ${7*7}';

const HOSTILE_PROGRAM = `
const hostile = ${JSON.stringify(HOSTILE)};
const Bad = { [hostile]: class { constructor(i) { this[hostile] = hostile + i; this.block = new Array(200).fill(i + 0.5); } } }[hostile];
const kept = new Map();
for (let i = 0; i < 500; i++) kept.set(hostile + i, new Bad(i));
globalThis[hostile] = { [hostile]: () => kept };
Object.defineProperty(globalThis[hostile][hostile], 'name', { value: hostile });
require('node:v8').writeHeapSnapshot('hostile.heapsnapshot');`;

/** So many snapshots of a server that leaks, an hour apart, the earliest first. */
export function leakingServer(directory, count) {
  return written(directory, SERVER, String(count));
}

/** A snapshot with hostile text in every name that a program can choose. */
export const hostileHeap = (directory) => written(directory, HOSTILE_PROGRAM)[0];

function written(directory, program, ...args) {
  fs.writeFileSync(directory.at('server.js'), program);
  execFileSync(process.execPath, ['--max-old-space-size=512', 'server.js', ...args], { cwd: directory.path, timeout: limits.WAIT });
  return directory.names().filter((name) => name.endsWith('.heapsnapshot')).map((name) => directory.at(name));
}

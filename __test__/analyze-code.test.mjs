// From a snapshot to code: whose it is, and where it is in what was compiled.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';

import ts from 'typescript';

import limits from '../harness/limits.cjs';
import { ROOT } from './support/app.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';

const require = createRequire(import.meta.url);
const { open } = require('../lib/analyze.js');

/** Writes files below a directory, by their names. */
function write(directory, files) {
  for (const [name, text] of Object.entries(files)) {
    const file = directory.at(name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
  }
}

/** The snapshot of a program that writes it into a file of its directory. */
async function snapshotOf(directory, program) {
  execFileSync(process.execPath, [directory.at(program)], { cwd: directory.at('.'), timeout: limits.WAIT });
  return open(directory.at('a.heapsnapshot'));
}

test('bytes are of the package that made or holds them', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const leaky = 'node_modules/.pnpm/leaky@1.2.3_peer@4.0.0/node_modules/leaky';
  write(directory, {
    [`${leaky}/index.js`]: `
      class Connection { constructor() { this.buffer = new Array(20000).fill(1.5); } }
      const connections = [];
      exports.connect = () => { connections.push(new Connection()); return connections.length; };`,
    'node_modules/@scope/plain/index.js': 'exports.kept = "x".repeat(10) + process.pid; exports.f = function f() { return exports; };',
    'app.js': `
      const { connect } = require('leaky');
      globalThis.plain = require('@scope/plain');
      for (let i = 0; i < 10; i++) connect();
      class Mine { constructor() { this.text = 'mine'; } }
      globalThis.mine = [new Mine(), new Mine()];
      require('node:v8').writeHeapSnapshot('a.heapsnapshot');`,
  });
  fs.symlinkSync(path.relative(directory.at('node_modules'), directory.at(leaky)), directory.at('node_modules/leaky'));
  const snapshot = await snapshotOf(directory, 'app.js');

  const { shares, totalSize } = await snapshot.summary({ by: 'package' });
  const of = (name) => shares.find((share) => share.package === name);
  const { version, count, shallowSize, retainedSize } = of('leaky');
  assert.equal(version, '1.2.3');
  assert.ok(shallowSize > 10 * 8 * 20000 && shallowSize < 3e6, `${shallowSize}`);
  assert.ok(retainedSize >= shallowSize && count > 20);
  assert.equal(of('@scope/plain').version, null);
  assert.ok(of('(application)').count > 2 && of('(node)').shallowSize > 0);
  assert.equal(of('(unknown)').retainedSize, null);
  const sum = shares.reduce((total, share) => total + share.shallowSize, 0);
  const native = totalSize - (await snapshot.dominators(null, { limit: 1 }))[0].retainedSize;
  assert.equal(sum + native, totalSize);

  const scripts = (await snapshot.summary({ by: 'script', filter: 'leaky' })).shares;
  assert.deepEqual(scripts.map((share) => share.script), [fs.realpathSync(directory.at(`${leaky}/index.js`))]);
  assert.equal(scripts[0].shallowSize, shallowSize);
});

// Types and comments go, so that all places move.
const SERVER = `/** A session. */
interface Item { id: number; text: string }
type Key = 'a' | 'b';

export class Session {
  readonly items: Item[] = [];
  constructor(readonly user: string, readonly key: Key = 'a') {}
}

enum State { Open, Closed }
const sessions = new Map<string, Session>();

export function handler(state: State = State.Open): number {
  for (let i = 0; i < 20; i++) sessions.set('user ' + i, new Session('user ' + i));
  return sessions.size + state;
}
(globalThis as any).handler = handler;
handler();
require('node:v8').writeHeapSnapshot('a.heapsnapshot');
`;

/** `src/server.ts`, compiled by TypeScript into `dist/`, and its snapshot. */
async function compiled(directory, compilerOptions) {
  const { outputText, sourceMapText } = ts.transpileModule(SERVER, {
    fileName: '../src/server.ts',
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, removeComments: true, ...compilerOptions },
  });
  write(directory, { 'src/server.ts': SERVER, 'dist/server.js': outputText });
  // The compiler's own program writes the path from the map to the source; this function only its name.
  if (sourceMapText) write(directory, { 'dist/server.js.map': sourceMapText.replace('"sources":["server.ts"]', '"sources":["../src/server.ts"]') });
  const snapshot = await snapshotOf(directory, 'dist/server.js');
  snapshot.close();
  return (options) => placeOfSession(directory, options);
}

async function placeOfSession(directory, options) {
  const snapshot = await open(directory.at('a.heapsnapshot'), options);
  const { objects: [{ id }] } = await snapshot.objects({ class: 'Session', limit: 1 });
  const { location, path: { text } } = await snapshot.inspect(id);
  snapshot.close();
  return { script: path.relative(fs.realpathSync(directory.at('.')), location.script), line: location.line, text };
}

const inTypeScript = { script: 'src/server.ts', line: 7 };

test('places are in TypeScript by the map beside the script, and in the script without', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const place = await compiled(directory, { sourceMap: true });
  const { text, ...mapped } = await place({ sourceMaps: true });
  assert.deepEqual(mapped, inTypeScript);
  assert.match(text, /server\.ts: sessions → Map/);
  const plain = await place();
  assert.equal(plain.script, 'dist/server.js');
  assert.notEqual(plain.line, inTypeScript.line);
});

test('places are in TypeScript by a map within the script', async (t) => {
  const place = await compiled(makeTemporaryDirectory(t), { inlineSourceMap: true });
  const { text, ...mapped } = await place({ sourceMaps: true });
  // transpileModule() knows no folder of the source.
  assert.deepEqual(mapped, { script: 'dist/server.ts', line: 7 });
  assert.match(text, /server\.ts: sessions/);
});

test('scripts that are not here any more are found below the source root', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const place = await compiled(directory, { sourceMap: true });
  fs.mkdirSync(directory.at('copy'));
  fs.renameSync(directory.at('dist'), directory.at('copy/dist'));
  const { script } = await place({ sourceMaps: true });
  assert.equal(script, 'dist/server.js');
  const { text, ...mapped } = await place({ sourceRoot: directory.at('copy') });
  assert.deepEqual(mapped, inTypeScript);
  assert.match(text, /server\.ts/);
});

test('the commands give places in TypeScript too', async (t) => {
  const directory = makeTemporaryDirectory(t);
  await compiled(directory, { sourceMap: true });
  const bin = path.join(ROOT, 'bin/heapdump-rs.js');
  const command = (...args) =>
    execFileSync(process.execPath, [bin, ...args, '--source-maps'], { encoding: 'utf8', timeout: limits.WAIT });
  const shares = JSON.parse(command('summary', directory.at('a.heapsnapshot'), '--by', 'script', '--json', '--limit', '0')).shares;
  assert.ok(shares.some(({ script }) => script?.endsWith('src/server.ts')), JSON.stringify(shares));
  assert.match(command('suspects', directory.at('a.heapsnapshot'), '--threshold', '0.01%'), /server\.ts: /);
});

test('variables of a block have their names in a path, unless a number beside them makes that unsure', async (t) => {
  const directory = makeTemporaryDirectory(t);
  write(directory, {
    'app.js': `
      class Kept {}
      class Beside {}
      {
        let nothing; const sessions = [new Kept()];
        globalThis.both = () => [nothing, sessions];
      }
      {
        const count = 12; const unsure = [new Beside()];
        globalThis.third = () => [count, unsure];
      }
      require('node:v8').writeHeapSnapshot('a.heapsnapshot');`,
  });
  const snapshot = await snapshotOf(directory, 'app.js');
  const way = async (name) => {
    const { objects: [{ id }] } = await snapshot.objects({ class: name, limit: 1 });
    return (await snapshot.inspect(id)).path.text;
  };
  assert.equal(await way('Kept'), 'app.js: sessions → Array → [key] → Kept');
  assert.equal(await way('Beside'), 'app.js: Array → [key] → Beside');
});

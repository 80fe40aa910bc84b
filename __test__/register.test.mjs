// `--require heapdump-rs/register` and `--import`: automatic snapshots of a program that knows nothing of it.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import limits from '../harness/limits.cjs';
import { validateSnapshot } from '../harness/validate.mjs';
import { ROOT, startProgram } from './support/app.mjs';
import { evidenceAtTheLimit } from './support/evidence.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { waitFor } from './support/processes.mjs';

const REGISTER = path.join(ROOT, 'lib/register.js');

/** An application; `source` may use `gc`. */
function start(t, source, { flags = ['--require', REGISTER], env = {}, cwd, heap = 256 } = {}) {
  const directory = makeTemporaryDirectory(t);
  fs.writeFileSync(directory.at('app.js'), source);
  const node = [process.execPath, `--max-old-space-size=${heap}`, '--expose-gc', ...flags, directory.at('app.js')];
  return startProgram(t, node, { cwd: cwd ?? directory.path, env });
}

const LEAK = `
  globalThis.kept = Array.from({ length: 60_000 }, (_, i) => ({ i, text: 'text ' + i }));
  gc();
  console.log('works');
  setTimeout(() => {}, ${limits.PROGRAM});
`;

const IDLE = `setTimeout(() => {}, ${limits.PROGRAM});`;

for (const flag of ['--require', '--import']) {
  test(`${flag}: a threshold in percent, into dir, compressed; one line says so`, async (t) => {
    const directory = makeTemporaryDirectory(t);
    const env = { NODE_HEAPDUMP_OPTIONS: `threshold=1%,dir=${directory.at('made')},gzip,max=3,keep=2GB` };
    const app = start(t, LEAK, { flags: [flag, REGISTER], env });
    const [, file] = await app.says(/^heapdump-rs: used: (.*) is complete; the event loop stood still for \d+ ms$/m, { on: 'stderr' });
    assert.match(file, /\/made\/heap-used-\d+\.heapsnapshot\.gz$/);
    await validateSnapshot(file);
    assert.deepEqual(directory.names('made').map((name) => path.extname(name)), ['.gz', '.json']);
  });
}

test('dir defaults to HEAP_SNAPSHOT_DIR, then to the current directory', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const env = { NODE_HEAPDUMP_OPTIONS: 'rss=10MB,interval=20ms', HEAP_SNAPSHOT_DIR: './heap-snapshots' };
  const app = start(t, IDLE, { env, cwd: directory.path });
  await app.says(/^heapdump-rs: rss: .*\/heap-snapshots\/heap-rss-\d+\.heapsnapshot is complete/m, { on: 'stderr' });
  const here = start(t, IDLE, { env: { NODE_HEAPDUMP_OPTIONS: 'rss=10MB,interval=20ms' }, cwd: directory.path });
  const [, file] = await here.says(/^heapdump-rs: rss: (.*) is complete/m, { on: 'stderr' });
  assert.equal(path.dirname(file), fs.realpathSync(directory.path));
});

test("oom: a snapshot at V8's limit", async (t) => {
  const directory = makeTemporaryDirectory(t);
  const env = { NODE_HEAPDUMP_OPTIONS: `oom,dir=${directory.path}` };
  const app = start(t, 'const kept = []; for (;;) kept.push({ a: kept.length });', { env, heap: 16 });
  assert.match((await app.ended()).stderr, /JavaScript heap out of memory/);
  await evidenceAtTheLimit(directory);
});

test('wrong values and unknown words: a line each, and the application starts', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const env = { NODE_HEAPDUMP_OPTIONS: `threshold=lots,rss=80%,max=none,keep=,every=never,bogus,oom=later,dir=${directory.path}` };
  const app = start(t, 'console.log("works")', { env });
  const { code, stdout, stderr } = await app.ended();
  assert.deepEqual({ code, stdout }, { code: 0, stdout: 'works\n' });
  const lines = stderr.trimEnd().split('\n');
  const tokens = ['bogus', 'threshold=lots', 'rss=80%', 'max=none', 'keep', 'every=never', 'oom=later'];
  assert.equal(lines.length, tokens.length, stderr);
  for (const [index, token] of tokens.entries()) {
    if (token === 'bogus') assert.equal(lines[index], 'node-heapdump: unrecognized option: bogus');
    else assert.match(lines[index], new RegExp(`^heapdump-rs: NODE_HEAPDUMP_OPTIONS: ${token} is ignored\\. .* must be `));
  }
  assert.deepEqual(directory.names(), []);
});

test('a wrong value leaves the others in force', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const env = { NODE_HEAPDUMP_OPTIONS: `rss=much,threshold=1%,dir=${directory.path}` };
  const app = start(t, LEAK, { env });
  await app.says(/rss=much is ignored[^]*heapdump-rs: used: .* is complete/, { on: 'stderr' });
});

test('without a word of its own it is the package alone, and ends with the application', async (t) => {
  const app = start(t, 'console.log("works")', { env: { NODE_HEAPDUMP_OPTIONS: 'nosignal' } });
  assert.deepEqual(await app.ended(), { code: 0, signal: null, stdout: 'works\n', stderr: '' });
});

test('quiet: the file without a word, and its failure as a warning', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = start(t, LEAK, { env: { NODE_HEAPDUMP_OPTIONS: `quiet,threshold=1%,dir=${directory.path}` } });
  await waitFor('the snapshot', () => directory.names().some((name) => /^heap-used-\d+\.heapsnapshot$/.test(name)));
  assert.equal(app.stderr, '');
  const failing = start(t, LEAK, { env: { NODE_HEAPDUMP_OPTIONS: 'quiet,threshold=1%,dir=/proc/none' } });
  await failing.says(/HeapdumpWarning: no heap snapshot \(used\): heapdump write error ENOENT/, { on: 'stderr' });
});

test('a directory that cannot be made: the application starts and goes on; a line when a snapshot was due', async (t) => {
  const env = { NODE_HEAPDUMP_OPTIONS: 'threshold=1%,dir=/proc/none' };
  const app = start(t, LEAK, { env });
  await app.says(/^heapdump-rs: used: no heap snapshot: heapdump write error: .*No such file/m, { on: 'stderr' });
  await app.says(/works/);
  assert.doesNotMatch(app.stderr, /Warning/);
});

test('a worker has its own heap watched, the process once', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const env = { NODE_HEAPDUMP_OPTIONS: `threshold=7MB,rss=64GB,bogus2=1,max=x,dir=${directory.path}` };
  const app = start(t, `
    const { Worker } = require('node:worker_threads');
    new Worker(${JSON.stringify(LEAK)}, { eval: true });
  `, { env });
  await app.says(/^heapdump-rs: used: .* is complete/m, { on: 'stderr' });
  assert.equal(app.stderr.match(/max=x is ignored/g).length, 1);
  const [name] = await waitFor('the sidecar', () => {
    const found = directory.names().filter((name) => name.endsWith('.json'));
    return found.length > 0 && found;
  });
  assert.ok(JSON.parse(fs.readFileSync(directory.at(name), 'utf8')).thread > 0);
});

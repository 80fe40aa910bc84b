// `--require heapdump-rs/register` and `--import`: automatic snapshots of a program that knows nothing of it.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import limits from '../harness/limits.cjs';
import { validateSnapshot } from '../harness/validate.mjs';
import { NODE_MAJOR, ROOT, startProgram } from './support/app.mjs';
import { evidenceAtTheLimit } from './support/evidence.mjs';
import { atEndOf, makeTemporaryDirectory } from './support/files.mjs';
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

const WATCHED = 'rss=10MB,interval=20ms';

test('in a package manager it does nothing, and the application that it starts is watched', async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.writeFileSync(directory.at('package.json'), JSON.stringify({ scripts: { start: 'node app.js' } }));
  fs.writeFileSync(directory.at('app.js'), IDLE);
  const env = { NODE_OPTIONS: `--require ${REGISTER}`, NODE_HEAPDUMP_OPTIONS: `${WATCHED},dir=${directory.at('dumps')},bogus` };
  // A group of its own: npm, its shell and the application end together.
  const npm = startProgram(t, ['npm', 'start', '--no-update-notifier'], { cwd: directory.path, env, spawn: { detached: true } });
  atEndOf(t, () => process.kill(-npm.pid, 'SIGKILL'));
  await npm.says(/^heapdump-rs: rss: .* is complete/m, { on: 'stderr' });
  assert.equal(npm.stderr.match(/unrecognized option/g).length, 1);
  const [name, ...others] = directory.names('dumps').filter((name) => name.endsWith('.json'));
  assert.deepEqual(others, []);
  assert.equal(JSON.parse(fs.readFileSync(directory.at('dumps', name), 'utf8')).program, fs.realpathSync(directory.at('app.js')));
});

test('NODE_OPTIONS as the documents write them: npm and node start in any directory', async (t) => {
  const documents = ['README.md', ...fs.readdirSync(path.join(ROOT, 'docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)];
  const found = documents.flatMap((name) => [
    ...fs.readFileSync(path.join(ROOT, name), 'utf8').matchAll(/NODE_OPTIONS\W[^\n]*?(--(?:require|import)[ =]\S*heapdump\S*?)(?=["'\s}]|$)/gm),
  ]);
  assert.ok(found.length > 0);
  for (const [, options] of found) {
    const NODE_OPTIONS = options.replace('/app/node_modules/heapdump-rs/', `${ROOT}`);
    for (const command of [[process.execPath, '-e', 'console.log(1)'], ['npm', '--version']]) {
      const { code, stderr } = await startProgram(t, command, { cwd: path.parse(ROOT).root, env: { NODE_OPTIONS } }).ended();
      assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, options);
    }
  }
});

for (const [manager, script, files] of [
  ['npm', 'npm/bin/npm-cli.js', { 'npm/package.json': '{"name":"npm"}' }],
  ['pnpm', 'pnpm/bin/pnpm.cjs', { 'pnpm/package.json': '{"name":"pnpm"}', 'pnpm/bin/package.json': '{"type":"commonjs"}' }],
  ['Yarn 1', 'yarn-v1.22.22/bin/yarn.js', { 'yarn-v1.22.22/package.json': '{"name":"yarn"}' }],
  ['Yarn 4, committed', 'app/.yarn/releases/yarn-4.18.1.cjs', { 'app/package.json': '{"name":"app"}' }],
  ['corepack', 'corepack/dist/yarn.js', { 'corepack/package.json': '{"name":"corepack"}' }],
  ['what corepack has fetched', 'corepack/v1/yarn/4.18.1/yarn.js', { 'corepack/v1/yarn/4.18.1/.corepack': '{}' }],
]) {
  test(`a package manager by what it runs: ${manager}, also by a link and in its worker threads`, async (t) => {
    const directory = makeTemporaryDirectory(t);
    for (const [name, text] of Object.entries({ ...files, [script]: '' })) {
      fs.mkdirSync(path.dirname(directory.at(name)), { recursive: true });
      fs.writeFileSync(directory.at(name), text);
    }
    const loaded = `process.stdout.write(String(Object.keys(require.cache).some((file) => file.endsWith('native.js'))) + '\\n');`;
    fs.writeFileSync(directory.at(script), `${loaded} new (require('node:worker_threads').Worker)(${JSON.stringify(loaded)}, { eval: true });`);
    fs.symlinkSync(directory.at(script), directory.at('link'));
    const env = { NODE_HEAPDUMP_OPTIONS: `${WATCHED},dir=${directory.at('dumps')}` };
    for (const started of [directory.at(script), directory.at('link')]) {
      const node = [process.execPath, '--require', REGISTER, started];
      assert.deepEqual(await startProgram(t, node, { cwd: directory.path, env }).ended(), {
        code: 0, signal: null, stdout: 'false\nfalse\n', stderr: '',
      });
    }
    assert.ok(!directory.names().includes('dumps'));
  });
}

test('a script of a project with such a dependency, or with words of such a name, is an application', async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('npm/bin'), { recursive: true });
  fs.writeFileSync(directory.at('package.json'), '{"name":"app","dependencies":{"npm":"11"}}');
  fs.writeFileSync(directory.at('npm/bin/npm-cli.js'), IDLE);
  const env = { NODE_HEAPDUMP_OPTIONS: `${WATCHED},dir=${directory.at('dumps')}` };
  const node = [process.execPath, '--require', REGISTER, directory.at('npm/bin/npm-cli.js')];
  await startProgram(t, node, { cwd: directory.path, env }).says(/^heapdump-rs: rss: .* is complete/m, { on: 'stderr' });
});

test('under the permission model it watches, though the package of the script cannot be told', async (t) => {
  const directory = makeTemporaryDirectory(t);
  // Without a name the search goes on above, where nothing may be read.
  fs.writeFileSync(directory.at('package.json'), '{}');
  fs.writeFileSync(directory.at('app.js'), IDLE);
  const flag = NODE_MAJOR < 22 ? '--experimental-permission' : '--permission';
  const flags = [flag, '--allow-addons', '--allow-worker', `--allow-fs-read=${ROOT}/*`, `--allow-fs-read=${directory.path}/*`, `--allow-fs-write=${directory.path}/*`];
  const env = { NODE_HEAPDUMP_OPTIONS: `${WATCHED},dir=${directory.path}` };
  const app = startProgram(t, [process.execPath, ...flags, '--require', REGISTER, directory.at('app.js')], { cwd: directory.path, env });
  await app.says(/^heapdump-rs: rss: .* is complete/m, { on: 'stderr' });
});

test('a cooldown is of one program: another one in the same directory is not silenced, a second start is', async (t) => {
  const directory = makeTemporaryDirectory(t);
  for (const name of ['job.js', 'app.js']) fs.writeFileSync(directory.at(name), IDLE);
  const env = { NODE_HEAPDUMP_OPTIONS: `${WATCHED},dir=${directory.at('dumps')}` };
  const run = (name, node = []) => startProgram(t, [process.execPath, ...node, '--require', REGISTER, directory.at(name)], { cwd: directory.path, env });
  const programs = () => directory.names('dumps').filter((name) => name.endsWith('.json'))
    .map((name) => path.basename(JSON.parse(fs.readFileSync(directory.at('dumps', name), 'utf8')).program));
  for (const name of ['job.js', 'app.js']) {
    await run(name).says(/^heapdump-rs: rss: .* is complete/m, { on: 'stderr' });
  }
  assert.deepEqual(programs().sort(), ['app.js', 'job.js']);
  // It says why it takes none.
  const again = directory.at('again.cjs');
  fs.writeFileSync(again, `require('node:diagnostics_channel').subscribe('heapdump-rs:monitor', ({ type, why }) => console.log(type, why));`);
  await run('app.js', ['--require', again]).says(/^skipped cooldown$/m);
  assert.equal(programs().length, 2);
});

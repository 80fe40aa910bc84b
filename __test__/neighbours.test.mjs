// Others in the same process: a second copy of this package, the inspector, profilers, flags of V8, and applications
// that set the environment variable themselves.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { ROOT, startApp } from './support/app.mjs';
import { isSnapshotName, makeTemporaryDirectory } from './support/files.mjs';
import { snapshotChild, waitFor } from './support/processes.mjs';

/** The package as npm would install it a second time. */
function copyPackage(directory) {
  const copy = directory.at('node_modules/heapdump-rs');
  fs.mkdirSync(copy, { recursive: true });
  const { files, main } = JSON.parse(fs.readFileSync(path.join(ROOT, 'package.json')));
  const addon = fs.readdirSync(ROOT).filter((name) => name.endsWith('.node'));
  for (const name of new Set([...files, main, 'package.json', ...addon])) {
    const source = path.join(ROOT, name);
    if (fs.existsSync(source)) fs.cpSync(source, path.join(copy, name), { recursive: true });
  }
  return copy;
}

test('two copies of the package: both dump at once, and one signal gives one file', async (t) => {
  const copy = copyPackage(makeTemporaryDirectory(t));
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, fill, args, say, stayAlive, plain }) => {
    fill(5000);
    const other = require(args.copy);
    const dump = (library, name) => new Promise((resolve) => {
      library.writeSnapshot(name, (error, written, report) => resolve(error ? plain(error) : report.mode));
    });
    const calls = [];
    for (let i = 0; i < 4; i++) calls.push(dump(heapdump, `own-${i}`), dump(other, `other-${i}`));
    say('dumped', other !== heapdump, await Promise.all(calls));
    stayAlive();
  }, { cwd: directory.path, args: { copy } });
  const [, modes] = await app.says(/dumped true (.*)/);
  assert.deepEqual(JSON.parse(modes), Array(8).fill('fork'));
  for (const name of directory.names()) await validateSnapshot(directory.at(name));
  app.kill('SIGUSR2');
  await waitFor('the signal’s file', () => directory.names().some(isSnapshotName) && !snapshotChild(app.pid));
  assert.equal(directory.names().length, 9);
});

for (const [what, nodeOptions] of [
  ['the inspector', ['--inspect=127.0.0.1:0']],
  ['the CPU profiler', ['--cpu-prof', '--cpu-prof-name=profile']],
  ['the heap profiler', ['--heap-prof', '--heap-prof-name=profile']],
  ['an interpreter alone', ['--jitless']],
  ['V8 on one thread', ['--single-threaded']],
  ['one worker thread of V8', ['--v8-pool-size=1']],
  ['sixteen worker threads of V8', ['--v8-pool-size=16']],
  ['a garbage collection every 500 allocations', ['--gc-interval=500']],
]) {
  test(`beside ${what} a forked dump is whole, and so is the application`, async (t) => {
    const directory = makeTemporaryDirectory(t);
    const app = startApp(t, async ({ promises, fill }) => {
      fill(5000);
      const reports = [];
      for (let i = 0; i < 3; i++) reports.push(await promises.writeSnapshot(`${i}.heapsnapshot`));
      return reports.map(({ mode, attempts }) => `${mode} ${attempts}`);
    }, { cwd: directory.path, nodeOptions });
    assert.deepEqual(await app.result(), Array(3).fill('fork 1'));
    for (let i = 0; i < 3; i++) await validateSnapshot(directory.at(`${i}.heapsnapshot`));
  });
}

test('a profile that is being recorded is whole after a dump', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises }) => {
    const { Session } = require('node:inspector');
    const session = new Session();
    session.connect();
    const post = (method) => new Promise((resolve, reject) => session.post(method, (error, value) => (error ? reject(error) : resolve(value))));
    await post('Profiler.enable');
    await post('Profiler.start');
    const { mode } = await promises.writeSnapshot('a');
    const { profile } = await post('Profiler.stop');
    return { mode, nodes: profile.nodes.length };
  }, { cwd: directory.path });
  const { mode, nodes } = await app.result();
  assert.equal(mode, 'fork');
  assert.ok(nodes > 0);
});

test('NODE_HEAPDUMP_OPTIONS that the application sets before it loads the package counts', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async (tools) => {
    process.env.NODE_HEAPDUMP_OPTIONS = 'nofork,nosignal';
    const { mode } = await tools.promises.writeSnapshot('a');
    tools.say('mode', mode, typeof tools.heapdump);
    tools.stayAlive();
  }, { cwd: directory.path });
  await app.says(/mode inline/);
  app.kill('SIGUSR2');
  assert.equal((await app.ended()).signal, 'SIGUSR2');
});

test('NODE_HEAPDUMP_OPTIONS of a worker’s own environment counts there', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, worker, once }) => {
    const dump = ({ promises, args }) => promises.writeSnapshot(args.name).then(({ mode }) => {
      require('node:worker_threads').parentPort.postMessage(mode);
    });
    const env = { ...process.env, NODE_HEAPDUMP_OPTIONS: 'nofork' };
    const inline = await once(worker(dump, { name: 'a' }, { env }), 'message');
    const forked = await once(worker(dump, { name: 'b' }), 'message');
    return [inline, forked, (await promises.writeSnapshot('c')).mode];
  }, { cwd: directory.path });
  assert.deepEqual(await app.result(), ['inline', 'fork', 'fork']);
});

test('a current directory that was removed: relative names are ENOENT, absolute ones are written', async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('gone'));
  const app = startApp(t, async ({ heapdump, promises, plain, args }) => {
    process.chdir('gone');
    require('node:fs').rmdirSync('../gone');
    const told = [];
    const returned = [heapdump.writeSnapshot('a', (error) => told.push(plain(error))), heapdump.writeSnapshot((error) => told.push(plain(error)))];
    return { told, returned, absolute: (await promises.writeSnapshot(args.file)).mode };
  }, { cwd: directory.path, args: { file: directory.at('absolute') } });
  const { told, returned, absolute } = await app.result();
  assert.deepEqual(returned, [false, false]);
  for (const { message, code } of told) assert.deepEqual([message, code], ['heapdump write error ENOENT', 'ENOENT']);
  assert.equal(told.length, 2);
  assert.equal(absolute, 'fork');
});

test('a snapshot holds the application’s objects as they were at the call’s turn of the event loop', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises }) => {
    // Names that no source text holds.
    const mark = (when) => new (Function(`return class Here${when} {}`)())();
    globalThis.kept = [mark('AtTheCall')];
    await promises.writeSnapshot('a');
    globalThis.kept.push(mark('AfterTheEnd'));
  }, { cwd: directory.path });
  await app.ended();
  const { stringTable } = await validateSnapshot(directory.at('a'), { strings: true });
  assert.ok(stringTable.includes('HereAtTheCall'));
  assert.ok(!stringTable.includes('HereAfterTheEnd'));
});

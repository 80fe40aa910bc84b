// Where files go that have no directory of their own: dir=, HEAP_SNAPSHOT_DIR, --diagnostic-dir, the current directory.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { NODE_MAJOR, ROOT, startApp, startProgram } from './support/app.mjs';
import { runCommand } from './support/command.mjs';
import { needsRoot, mountReadOnly } from './support/faults.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { snapshotChild, waitFor } from './support/processes.mjs';
import { validateSnapshot } from '../harness/validate.mjs';

const idle = ({ heapdump, say, stayAlive }) => {
  stayAlive();
  say('ready', typeof heapdump);
};

/** The names in a directory once there is a whole file among them. */
const written = (app, directory, sub) =>
  waitFor('a file', () => {
    const names = directory.names(sub);
    return names.some((name) => /heapsnapshot(\.gz)?$/.test(name)) && !snapshotChild(app.pid) && names;
  });

/** What `doctor` says of files, of a process. */
async function filesOf(t, pid) {
  const { stdout } = await runCommand(t, ['doctor', '--json', '--pid', pid]);
  return JSON.parse(stdout).find(({ check }) => check === 'files').text;
}

/** A directory with the directories `names` in it. */
function makeDirectories(t, ...names) {
  const directory = makeTemporaryDirectory(t);
  for (const name of names) fs.mkdirSync(directory.at(name));
  return directory;
}

async function signalled(t, directory, options) {
  const app = startApp(t, idle, { cwd: directory.path, ...options });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  return app;
}

test('the set-up of Node’s own flag, with the package, in a directory that is read-only', async (t) => {
  if (!needsRoot(t)) return;
  const directory = makeDirectories(t, 'dumps', 'app');
  const { path: cwd } = mountReadOnly(t, directory.at('app'));
  const nodeOptions = ['--heapsnapshot-signal=SIGUSR2', `--diagnostic-dir=${directory.at('dumps')}`];
  const app = await signalled(t, directory, { cwd, nodeOptions });
  const [name, ...more] = await written(app, directory, 'dumps');
  assert.deepEqual(more, []);
  assert.match(name, /^heapdump-\d+\.\d+\.heapsnapshot$/);
  await validateSnapshot(directory.at('dumps', name));
});

test('--diagnostic-dir in each of its forms, the last one of the command line first', async (t) => {
  for (const [nodeOptions, NODE_OPTIONS] of [
    [['--diagnostic-dir', 'a b'], undefined],
    [['--diagnostic_dir=none', '--diagnostic-dir=a b'], '--diagnostic-dir=none'],
    [[], '--no-warnings --diagnostic-dir="a b"'],
    [[], '"--diagnostic-dir" "a\\ b"'],
  ]) {
    const directory = makeDirectories(t, 'a b');
    const app = await signalled(t, directory, { nodeOptions, env: NODE_OPTIONS && { NODE_OPTIONS } });
    const names = await written(app, directory, 'a b');
    assert.deepEqual([names.length, directory.names()], [1, ['a b']]);
    await app.stop();
  }
});

test('dir= comes first', async (t) => {
  const directory = makeDirectories(t, 'ours', 'nodes');
  const app = await signalled(t, directory, {
    nodeOptions: ['--diagnostic-dir=nodes'], env: { NODE_HEAPDUMP_OPTIONS: 'dir=ours' },
  });
  await written(app, directory, 'ours');
  assert.deepEqual(directory.names('nodes'), []);
});

test('a relative one means the current directory of the moment, as with Node', async (t) => {
  const directory = makeDirectories(t, 'later');
  fs.mkdirSync(directory.at('later/dumps'));
  const app = startApp(t, ({ heapdump, say, stayAlive }) => {
    stayAlive();
    process.chdir('later');
    say('ready', typeof heapdump);
  }, { cwd: directory.path, nodeOptions: ['--diagnostic-dir=dumps'] });
  await app.says(/ready/);
  const place = `${fs.realpathSync(directory.at('later/dumps'))} (--diagnostic-dir)`;
  assert.ok((await filesOf(t, app.pid)).startsWith(`dumps of the signal go to ${place}, where `));
  app.kill('SIGUSR2');
  await written(app, directory, 'later/dumps');
});

test('writeSnapshot() without a name, in process too; the name that is handed back is the file', async (t) => {
  const directory = makeDirectories(t, 'dumps');
  const app = startApp(t, async ({ heapdump, promises, plain }) => {
    const fs = require('node:fs');
    const given = await new Promise((resolve) => heapdump.writeSnapshot((error, name) => resolve(error ? plain(error) : name)));
    const report = await promises.writeSnapshot();
    const sync = heapdump.writeSnapshotSync();
    return [given, report.path, sync.path].map((file) => fs.realpathSync(file));
  }, { cwd: directory.path, nodeOptions: ['--diagnostic-dir=dumps'] });
  const files = await app.result();
  assert.deepEqual(files.map((file) => path.basename(file)).sort(), directory.names('dumps'));
  for (const file of files) {
    assert.equal(path.dirname(file), fs.realpathSync(directory.at('dumps')));
    await validateSnapshot(file);
  }
  assert.deepEqual(directory.names(), ['dumps']);
});

test('a worker’s own --diagnostic-dir is its own', async (t) => {
  const directory = makeDirectories(t, 'main', 'worker');
  const app = startApp(t, async ({ heapdump, once, promises }) => {
    const { Worker } = require('node:worker_threads');
    const source = `require(${JSON.stringify(require.resolve('heapdump-rs'))}).writeSnapshot(() => {})`;
    await once(new Worker(source, { eval: true, execArgv: ['--diagnostic-dir=worker'] }), 'exit');
    await promises.writeSnapshot();
    return typeof heapdump;
  }, { cwd: directory.path, nodeOptions: ['--diagnostic-dir=main'] });
  await app.result();
  assert.deepEqual([directory.names('main').length, directory.names('worker').length], [1, 1]);
});

test('the permission model is asked for that directory', async (t) => {
  if (NODE_MAJOR < 20) return t.diagnostic('not run: Node 18 has no permission model');
  const directory = makeDirectories(t, 'dumps', 'other');
  const nodeOptions = [
    NODE_MAJOR < 22 ? '--experimental-permission' : '--permission', '--allow-addons', '--allow-fs-read=/*',
    `--allow-fs-write=${directory.at('other')}/*`,
    `--diagnostic-dir=${directory.at('dumps')}`,
  ];
  const app = startApp(t, ({ heapdump, plain }) => {
    let told;
    heapdump.writeSnapshot((error) => (told = plain(error)));
    return told;
  }, { cwd: directory.at('other'), nodeOptions });
  const { code, message } = await app.result();
  assert.equal(code, 'ERR_ACCESS_DENIED');
  assert.match(message, new RegExp(directory.at('dumps')));
  assert.deepEqual([directory.names('dumps'), directory.names('other')], [[], []]);
});

const REGISTER = path.join(ROOT, 'lib/register.js');

/** An idle application with `rss=10MB`; its first snapshot's directory. */
async function registered(t, { cwd, env = {}, words = '', flags = [] }) {
  const app = startProgram(t, [process.execPath, '--require', REGISTER, ...flags, '-e', 'setTimeout(() => {}, 60_000)'], {
    cwd, env: { NODE_HEAPDUMP_OPTIONS: `rss=10MB,interval=20ms${words}`, ...env },
  });
  const [, file] = await app.says(/^heapdump-rs: rss: (.*) is complete/m, { on: 'stderr' });
  await app.stop();
  return path.basename(path.dirname(file));
}

test('register: dir=, then HEAP_SNAPSHOT_DIR, then --diagnostic-dir', async (t) => {
  const { path: cwd } = makeTemporaryDirectory(t);
  const flags = ['--diagnostic-dir=nodes'];
  assert.equal(await registered(t, { cwd, flags }), 'nodes');
  assert.equal(await registered(t, { cwd, flags, env: { HEAP_SNAPSHOT_DIR: './guide' } }), 'guide');
  assert.equal(await registered(t, { cwd, flags, env: { HEAP_SNAPSHOT_DIR: './guide' }, words: ',dir=ours' }), 'ours');
});

test("oom: the file at V8's limit, createHeapSnapshot() and createCpuProfile()", async (t) => {
  const directory = makeDirectories(t, 'dumps');
  const oom = JSON.stringify(path.join(ROOT, 'lib/oom.js'));
  const nodeOptions = ['--diagnostic-dir=dumps', '--max-old-space-size=16'];
  const app = startProgram(t, [process.execPath, ...nodeOptions, '-e', `
    const heapdump = require(${oom})();
    (async () => {
      await heapdump.createHeapSnapshot();
      await heapdump.createCpuProfile(undefined, 10);
      const kept = [];
      for (;;) kept.push(new Array(1000).fill(kept.length + 0.5));
    })();
  `], { cwd: directory.path });
  assert.equal((await app.ended()).code, 1);
  const kinds = directory.names('dumps').map((name) => name.replace(/\d+/g, 'N'));
  assert.deepEqual(kinds, [
    'OoM-pid-N.heapsnapshot', 'OoM-pid-N.heapsnapshot.json', 'cpuprofile-N.cpuprofile', 'heapsnapshot-N.heapsnapshot',
  ]);
  assert.deepEqual(directory.names(), ['dumps']);
});

test('doctor says which it is, and who said so', async (t) => {
  const directory = makeDirectories(t, 'ours', 'nodes');
  for (const [env, place, why] of [
    [{}, '', 'the current directory'],
    [{ NODE_OPTIONS: '--diagnostic-dir=nodes' }, '/nodes', '--diagnostic-dir'],
    [{ NODE_OPTIONS: '--diagnostic-dir=nodes', NODE_HEAPDUMP_OPTIONS: 'dir=ours' }, '/ours', 'dir='],
    [{ HEAP_SNAPSHOT_DIR: './guide' }, '', 'the current directory; automatic snapshots go to ./guide, HEAP_SNAPSHOT_DIR'],
  ]) {
    const { code, stdout } = await runCommand(t, ['doctor'], { cwd: directory.path, env });
    const text = `dumps of the signal go to ${fs.realpathSync(directory.path)}${place} (${why}), where `;
    assert.ok(stdout.includes(text), `${stdout}\nand not: ${text}`);
    assert.equal(code, 0);
  }
  const { code, stdout } = await runCommand(t, ['doctor'], { env: { NODE_OPTIONS: '--diagnostic-dir=/does/not/exist' } });
  assert.equal(code, 1);
  assert.match(stdout, /cannot go to \/does\/not\/exist: there is no such directory; set .* \(now it is --diagnostic-dir\)/);
});

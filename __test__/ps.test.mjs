// npx heapdump-rs ps, and which process of a tree node-snapshot takes: the pid that people have is often a wrapper's.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { ROOT, startProgram } from './support/app.mjs';
import { runCommand } from './support/command.mjs';
import { WITHOUT_RIGHTS, needsRoot, needsTool } from './support/faults.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { childrenOf, isRunning, processInfo, signalChild, snapshotChild, waitFor } from './support/processes.mjs';

const require = createRequire(import.meta.url);
const { idIn } = require('../lib/cli/container.js');
const { scriptOf } = require('../lib/cli/command-line.js');
const { Tree } = require('../lib/cli/tree.js');
const { nameFor } = require('../lib/cli/all.js');
const { isNode, isSingleApplication } = require('../lib/cli/executable.js');

/** Programs that start one another, in a directory of their own: each is `[name, source]`. */
function makePrograms(t, sources) {
  const directory = makeTemporaryDirectory(t);
  const shared = `
    const load = () => require(${JSON.stringify(ROOT)});
    const name = require('node:path').basename(__filename, '.cjs');
    const up = () => require('node:fs').writeSync(1, 'up ' + process.pid + ' ' + name + '\\n');
    const { spawn } = require('node:child_process');
    const run = (file) => spawn(process.execPath, ['--max-old-space-size=128', file], { stdio: 'inherit', cwd: __dirname });
    const listen = () => require('node:http').createServer().listen(0, '127.0.0.1', up);
    setInterval(() => {}, 1000);`;
  for (const [name, source] of Object.entries(sources)) fs.writeFileSync(directory.at(`${name}.cjs`), `${shared}\n${source}`);
  fs.mkdirSync(directory.at('out'));
  return directory;
}

/** Starts a command and waits until `names` are up: their pids by name. */
async function startTree(t, directory, command, names, options) {
  const app = startProgram(t, command, { cwd: directory.path, spawn: { detached: true }, ...options });
  // Children outlive what started them.
  t.after(() => {
    try {
      process.kill(-app.pid, 'SIGKILL');
    } catch {
      // All have ended.
    }
  });
  const pids = { top: app.pid };
  for (const name of names) pids[name] = Number((await app.says(new RegExp(`^up (\\d+) ${name}$`, 'm')))[1]);
  return pids;
}

const node = (name) => [process.execPath, '--max-old-space-size=128', `${name}.cjs`];
const snapshot = (t, directory, ...words) =>
  runCommand(t, ['node-snapshot', ...words, '--force', '--output', directory.at('out/a.heapsnapshot')]);

/** Which process wrote it: each has a class of its script's name. */
async function scriptIn(file) {
  const { stringTable } = await validateSnapshot(file, { strings: true });
  return ['wrapper', 'app', 'helper'].filter((name) => stringTable.includes(`MarkOf${name}`));
}

const mark = (name) => `globalThis.mark = new (class MarkOf${name} {})();`;

test('ps lists what is known of each process, as a table, as a tree and in JSON', async (t) => {
  const directory = makePrograms(t, {
    app: "load(); run('helper.cjs'); up();",
    helper: "process.title = 'shop: helper'; up();",
  });
  const pids = await startTree(t, directory, node('app'), ['app', 'helper']);
  const json = await runCommand(t, ['ps', '--json']);
  assert.equal(json.code, 0, json.stderr);
  const { schemaVersion, command, processes } = JSON.parse(json.stdout);
  assert.deepEqual([schemaVersion, command], [1, 'ps']);
  const of = (pid) => processes.find((each) => each.pid === pid);
  const { rss, version, heapLimit, ...app } = of(pids.app);
  assert.deepEqual(app, {
    pid: pids.app,
    parent: process.pid,
    nodeParent: process.pid,
    user: of(process.pid).user,
    container: null,
    script: 'app.cjs',
    title: false,
    directory: fs.realpathSync(directory.path),
    loaded: true,
    answers: 'SIGUSR2',
    via: 'signal',
  });
  assert.ok(rss > 10e6 && rss < 500e6, `${rss}`);
  assert.ok(heapLimit >= 128 * 1024 * 1024, `${heapLimit}`);
  assert.equal(version, require('../package.json').version);
  const helper = of(pids.helper);
  assert.deepEqual(
    [helper.script, helper.title, helper.parent, helper.loaded, helper.answers],
    ['shop: helper', true, pids.app, false, null],
  );

  const table = (await runCommand(t, ['ps'])).stdout;
  assert.match(table, /^ *PID +PARENT +USER +CONTAINER +RSS +LIMIT +PACKAGE +VIA +SCRIPT$/m);
  assert.match(table, new RegExp(`^ *${pids.app} +${process.pid} .* MB +[\\d.]+ MB +SIGUSR2 +signal +app\\.cjs$`, 'm'));
  const tree = (await runCommand(t, ['ps', '--tree'])).stdout;
  assert.match(tree, new RegExp(`${pids.app} .*app\\.cjs\n *${pids.helper} .* └─ shop: helper$`, 'm'));
});

test('ps says how many others there are, which are not ours to see', async (t) => {
  const directory = makePrograms(t, { app: 'load(); up();' });
  const pids = await startTree(t, directory, node('app'), ['app']);
  if (!needsRoot(t)) return;
  const { code, stdout, stderr } = await runCommand(t, ['ps', '--json'], { via: WITHOUT_RIGHTS });
  assert.equal(code, 0, stderr);
  const { processes, hidden } = JSON.parse(stdout);
  assert.ok(!processes.some(({ pid }) => pid === pids.app));
  assert.ok(hidden > 0);
});

test('a child that takes a snapshot is no process of its own', async (t) => {
  const directory = makePrograms(t, { app: 'load(); globalThis.kept = Array.from({ length: 3e5 }, (_, i) => ({ i })); up();' });
  const { app } = await startTree(t, directory, node('app'), ['app']);
  process.kill(app, 'SIGUSR2');
  const child = await waitFor('a child that takes a snapshot', () => snapshotChild(app));
  signalChild(child, 'SIGSTOP');
  try {
    assert.ok(isRunning(child));
    assert.deepEqual(new Tree().below(app), []);
  } finally {
    signalChild(child, 'SIGKILL');
  }
});

test('a process in a pid namespace of its own is said to be in one', async (t) => {
  if (!needsRoot(t) || !needsTool(t, 'unshare')) return;
  const directory = makePrograms(t, { app: 'up();' });
  const { top } = await startTree(t, directory, ['unshare', '--pid', '--fork', '--kill-child', ...node('app')], []);
  const { pid } = await waitFor('the process', () => childrenOf(top).find(({ name }) => name !== 'unshare'));
  const found = await waitFor('it is listed', async () => {
    const { stdout } = await runCommand(t, ['ps', '--json']);
    return JSON.parse(stdout).processes.find((each) => each.pid === pid);
  });
  assert.match(found.container, /^pidns:\d+$/);
});

test('--pid of a wrapper takes the one below it that has loaded the package; --exactly itself', async (t) => {
  const directory = makePrograms(t, {
    wrapper: `${mark('wrapper')} run('app.cjs'); up();`,
    app: `load(); ${mark('app')} run('helper.cjs'); up();`,
    helper: `${mark('helper')} up();`,
  });
  const shell = ['sh', '-c', '"$@"; true', 'sh', process.execPath, '--inspect-port=0', 'wrapper.cjs'];
  const pids = await startTree(t, directory, shell, ['wrapper', 'app', 'helper']);
  for (const pid of [pids.top, pids.wrapper]) {
    const { code, stderr } = await snapshot(t, directory, '--pid', pid);
    assert.equal(code, 0, stderr);
    const taken = new RegExp(`^process ${pids.app} \\(.*\\) is taken: of the Node\\.js processes that ${pid} .* has`);
    assert.match(stderr, taken);
    assert.deepEqual(await scriptIn(directory.at('out/a.heapsnapshot')), ['app']);
  }
  // The application has started a helper, and has itself loaded the package.
  const own = await snapshot(t, directory, '--pid', pids.app);
  assert.deepEqual([own.code, own.stderr], [0, '']);
  assert.deepEqual(await scriptIn(directory.at('out/a.heapsnapshot')), ['app']);
  const exactly = await snapshot(t, directory, '--pid', pids.wrapper, '--exactly');
  assert.equal(exactly.code, 0, exactly.stderr);
  assert.deepEqual(await scriptIn(directory.at('out/a.heapsnapshot')), ['wrapper']);
});

test('--pid of a wrapper asks which, when none of its processes has loaded the package', async (t) => {
  const directory = makePrograms(t, { wrapper: "run('app.cjs'); up();", app: 'up();' });
  const pids = await startTree(t, directory, node('wrapper'), ['wrapper', 'app']);
  const { code, stdout, stderr } = await snapshot(t, directory, '--pid', pids.wrapper);
  assert.deepEqual([code, stdout], [2, '']);
  assert.match(stderr, /has started Node\.js processes; which one is meant\?\n/);
  for (const words of [
    `--pid ${pids.wrapper} --exactly +wrapper\\.cjs \\([\\d.]+ MB, (from outside|its inspector would stop it)\\)`,
    `--pid ${pids.app} +app\\.cjs`,
    `--all ${pids.wrapper} +one of each`,
  ]) {
    assert.match(stderr, new RegExp(`^  ${words}`, 'm'));
  }
  assert.deepEqual(directory.names('out'), []);
});

test('where the environment has loaded it everywhere, the one that listens is meant; where none does, it asks', async (t) => {
  const directory = makePrograms(t, {
    wrapper: "run('app.cjs'); up();",
    app: `${mark('app')} run('helper.cjs'); listen();`,
    helper: 'listen();',
  });
  const env = { NODE_OPTIONS: `--require ${ROOT}index.js` };
  const pids = await startTree(t, directory, node('wrapper'), ['wrapper', 'app', 'helper'], { env });
  for (const [pid, said] of [
    [pids.wrapper, new RegExp(`^process ${pids.app} .* is taken`)],
    [pids.app, /^$/],
  ]) {
    const { code, stderr } = await snapshot(t, directory, '--pid', pid);
    assert.equal(code, 0, stderr);
    assert.match(stderr, said);
    assert.deepEqual(await scriptIn(directory.at('out/a.heapsnapshot')), ['app']);
  }

  const silent = makePrograms(t, { app: "run('helper.cjs'); up();", helper: 'up();' });
  const { app } = await startTree(t, silent, node('app'), ['app', 'helper'], { env });
  const { code, stderr } = await snapshot(t, silent, '--pid', app);
  assert.equal(code, 2);
  assert.match(stderr, new RegExp(`--pid ${app} --exactly +app\\.cjs \\(.*answers SIGUSR2\\)`));
});

test("a cluster's primary is never taken for the application, though it listens and has loaded the package", async (t) => {
  const directory = makePrograms(t, {
    app: `load(); const cluster = require('node:cluster');
      let missing = Number(process.argv[2]);
      if (cluster.isPrimary) for (let i = missing; i > 0; i--) cluster.fork().once('listening', () => --missing || up());
      else require('node:http').createServer().listen(0, '127.0.0.1');`,
  });
  const two = await startTree(t, directory, [...node('app'), '2'], ['app']);
  const { code, stderr } = await snapshot(t, directory, '--pid', two.app);
  assert.equal(code, 2, stderr);
  assert.match(stderr, new RegExp(`--pid ${two.app} --exactly`));
  assert.equal(stderr.match(/answers SIGUSR2/g).length, 3);

  const one = await startTree(t, directory, [...node('app'), '1'], ['app']);
  const taken = await snapshot(t, directory, '--pid', one.app);
  assert.equal(taken.code, 0, taken.stderr);
  assert.match(taken.stderr, new RegExp(`^process ${childrenOf(one.app)[0].pid} .* is taken`));
});

test('node --watch: what it runs is taken, also where the environment has loaded the package in both', async (t) => {
  for (const [more, env] of [
    ["run('helper.cjs');", {}],
    ['', { NODE_OPTIONS: `--require ${ROOT}index.js` }],
  ]) {
    const directory = makePrograms(t, { app: `load(); ${mark('app')} ${more} up();`, helper: 'up();' });
    const { top, app } = await startTree(t, directory, [process.execPath, '--watch', 'app.cjs'], ['app'], { env });
    assert.notEqual(top, app);
    const { code, stderr } = await snapshot(t, directory, '--pid', top);
    assert.equal(code, 0, stderr);
    assert.match(stderr, new RegExp(`^process ${app} .* is taken`));
    assert.deepEqual(await scriptIn(directory.at('out/a.heapsnapshot')), ['app']);
  }
});

test('npm start and npx: the pid of npm is enough', async (t) => {
  if (!needsTool(t, 'npm')) return;
  const directory = makePrograms(t, { app: `load(); ${mark('app')} up();` });
  fs.mkdirSync(directory.at('node_modules/.bin'), { recursive: true });
  const start = `"${process.execPath}" app.cjs`;
  fs.writeFileSync(directory.at('node_modules/.bin/serve-app'), `#!/bin/sh\n${start}; true\n`, { mode: 0o755 });
  fs.writeFileSync(directory.at('package.json'), JSON.stringify({ name: 'shop', scripts: { start } }));
  for (const command of [
    ['npm', 'start', '--silent', '--offline'],
    ['npx', '--offline', 'serve-app'],
  ]) {
    const pids = await startTree(t, directory, command, ['app'], { env: { npm_config_update_notifier: 'false' } });
    const { code, stderr } = await snapshot(t, directory, '--pid', pids.top);
    assert.equal(code, 0, stderr);
    assert.match(stderr, new RegExp(`^process ${pids.app} .* is taken`));
    assert.deepEqual(await scriptIn(directory.at('out/a.heapsnapshot')), ['app']);
  }
});

test('--all takes one of each; one that fails keeps no other from it, and the exit code tells', async (t) => {
  const directory = makePrograms(t, {
    wrapper: "load(); run('app.cjs'); run('helper.cjs'); up();",
    app: 'load(); up();',
    helper: "process.title = 'helper'; up();",
  });
  const pids = await startTree(t, directory, node('wrapper'), ['wrapper', 'app', 'helper']);
  const { code, stdout, stderr } = await snapshot(t, directory, '--max-stop', '1ms', '--all', pids.wrapper);
  assert.equal(code, 1, stderr);
  assert.match(stderr, new RegExp(`process ${pids.helper} .*cannot be captured from outside: .*(--max-stop|linux-x64)`));
  assert.match(stderr, /1 of 3 snapshots are missing/);
  const names = [pids.wrapper, pids.app].map((pid) => `a.${pid}.heapsnapshot`);
  assert.deepEqual(directory.names('out'), names.sort());
  for (const name of names) {
    assert.ok(stdout.includes(name));
    await validateSnapshot(directory.at(`out/${name}`));
  }
  for (const pid of Object.values(pids)) assert.ok(isRunning(processInfo(pid)));
  const none = await runCommand(t, ['node-snapshot', '--all', pids.wrapper, '--output', directory.at('out/missing/{pid}')]);
  assert.equal(none.code, 2);
  assert.match(none.stderr, /3 of 3 snapshots are missing/);
});

test('arguments that do not go together', async (t) => {
  for (const words of [['--pid', '1', '--all', '1'], ['--endpoint', 'http://localhost/', '--exactly'], []]) {
    const { code, stderr } = await runCommand(t, ['node-snapshot', ...words, '--output', 'a']);
    assert.equal(code, 2);
    assert.match(stderr, /one of --endpoint, --pid, --all, --image and --core is needed|--exactly belongs to --pid/);
  }
});

test('names of the files of --all', () => {
  for (const [name, expected] of [
    ['a.heapsnapshot', 'a.7.heapsnapshot'],
    ['d.e/a.b.heapsnapshot.gz', 'd.e/a.b.7.heapsnapshot.gz'],
    ['a.zst', 'a.7.zst'],
    ['a', 'a.7'],
    ['{pid}/{pid}.heapsnapshot', '7/7.heapsnapshot'],
  ]) {
    assert.equal(nameFor(name, 7), expected);
  }
});

test('containers by their control groups', () => {
  const id = 'c0ffee'.repeat(10) + 'abcd';
  for (const group of [
    `0::/system.slice/docker-${id}.scope`,
    `12:memory:/docker/${id}`,
    `0::/../../kubepods-burstable-pod0a1b.slice/cri-containerd-${id}.scope`,
    `11:cpu:/\n4:memory:/kubepods/besteffort/pod1f/crio-${id}`,
    `0::/machine.slice/libpod-${id}.scope/container`,
    `0::/kubepods.slice/kubepods-pod9.slice:cri-containerd:${id}`,
  ]) {
    assert.equal(idIn(`${group}\n`), id, group);
  }
  for (const group of ['0::/', '0::/user.slice/user-1000.slice/session-2.scope', `0::/${id}0`]) {
    assert.equal(idIn(group), undefined, group);
  }
});

test('the script of a command line', () => {
  for (const [words, script] of [
    ['-r ./a.js app.js --port 1', 'app.js --port 1'],
    ['--max-old-space-size=100 --import=x app.js', 'app.js'],
    ['--enable-source-maps dist/main', 'dist/main'],
    ['-e code', '-e code'],
    ['-- -app', '-app'],
    ['--inspect', ''],
  ]) {
    assert.equal(scriptOf(words.split(' ')).join(' '), script, words);
  }
});

test('an executable that says it is endless is given up', (t) => {
  const directory = makeTemporaryDirectory(t);
  const { readSync } = fs;
  let bytes = 0;
  t.mock.method(fs, 'readSync', (...words) => {
    const read = readSync(...words);
    if ((bytes += read) > 2 ** 29) throw new Error('more is read than any Node.js has');
    return read;
  });
  // One part that is loaded, in which are the names, and one that says where they are (elf(5)).
  const words = (...values) => Buffer.from(BigUint64Array.from(values.map(BigInt)).buffer);
  const [endless, names] = [2 ** 40, 232];
  const segment = (type, at, size) => words(type, at, at, at, size, size, 1);
  const header = Buffer.alloc(64);
  header.write('\x7fELF\x02\x01', 'latin1');
  header.writeBigUInt64LE(64n, 32);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(2, 56);
  const dynamic = words(5, names, 10, endless - names);
  const elf = Buffer.concat([header, segment(1, 0, endless), segment(2, 176, dynamic.length)]);
  assert.equal(elf.length, 176);
  for (const [name, content, outcome] of [
    ['names', Buffer.concat([elf, dynamic]), false],
    ['node', Buffer.concat([elf, dynamic, Buffer.alloc(names - 208), Buffer.from('\0_ZN4node5StartEiPPc\0')]), true],
    ['another', Buffer.from('#!'), false],
  ]) {
    fs.writeFileSync(directory.at(name), content);
    try {
      fs.truncateSync(directory.at(name), endless);
    } catch (error) {
      if (error.code === 'EFBIG') return t.diagnostic('not run: this file system has no such files');
      throw error;
    }
    bytes = 0;
    assert.equal(isNode(directory.at(name)), outcome, name);
  }
  assert.equal(isSingleApplication(directory.at('node')), true);
});

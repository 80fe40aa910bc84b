// npx heapdump-rs node-snapshot --pid: a process is asked by its signal or through its inspector, or left alone.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import limits from '../harness/limits.cjs';
import { startProgram } from './support/app.mjs';
import { OWN_PORT, askNow, loaded, start, unloaded } from './support/asked.mjs';
import { runCommand, startCommand } from './support/command.mjs';
import { WITHOUT_RIGHTS, injectInto, needsRoot, needsTool } from './support/faults.mjs';
import { isSnapshotName, makeTemporaryDirectory, modeOf } from './support/files.mjs';
import {
  childrenOf,
  descriptorsOf,
  isRunning,
  processInfo,
  signalChild,
  snapshotChildOf,
  waitFor,
} from './support/processes.mjs';
import { validateSnapshot } from '../harness/validate.mjs';

const require = createRequire(import.meta.url);
const { readFacts } = require('../lib/cli/facts.js');
const { Target } = require('../lib/cli/processes.js');

async function marksIn(file) {
  const { stringTable } = await validateSnapshot(file, { strings: true });
  return stringTable.filter((text) => /^MarkOf\w+$/.test(text));
}

test('a process that has loaded the package writes it by a child; nothing else is left of it', async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('app'));
  const app = await start(t, loaded, { cwd: directory.at('app') });
  const { code, stdout, stderr } = await runCommand(
    t,
    ['node-snapshot', '--pid', app.pid, '--output', 'a.heapsnapshot'],
    { cwd: directory.path },
  );
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /a\.heapsnapshot: complete, [\d.]+ MB, \d+ objects\n$/);
  assert.deepEqual([directory.names(), directory.names('app')], [['a.heapsnapshot', 'app'], []]);
  assert.equal(modeOf(directory.at('a.heapsnapshot')), 0o600);
  const { nodes } = await validateSnapshot(directory.at('a.heapsnapshot'));
  assert.match(stdout, new RegExp(`${nodes} objects`));
  assert.ok(isRunning(processInfo(app.pid)));
});

test('a process whose files may not be named once they are open: the copy that gets the name is removed too', async (t) => {
  if (!needsTool(t, 'strace')) return;
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('app'));
  const app = await start(t, loaded, { cwd: directory.at('app'), args: { objects: 20_000 } });
  await injectInto(t, app, undefined, 'linkat:error=ENOENT');
  for (const name of ['a', 'b']) {
    const { code, stderr } = await runCommand(t, ['node-snapshot', '--pid', app.pid, '--output', directory.at(name)]);
    assert.deepEqual([code, stderr], [0, '']);
    assert.deepEqual(directory.names('app'), []);
    await validateSnapshot(directory.at(name));
  }
});

test('of two processes with one directory each gives its own', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const marks = ['One', 'Two'];
  const apps = await Promise.all(marks.map((mark) => start(t, loaded, { cwd: directory.path, args: { mark } })));
  await Promise.all(
    apps.map(async ({ pid }, i) => {
      const { code, stderr } = await runCommand(t, [
        'node-snapshot',
        '--pid',
        pid,
        '--output',
        directory.at(`${i}.heapsnapshot`),
      ]);
      assert.deepEqual([code, stderr], [0, '']);
    }),
  );
  assert.deepEqual(directory.names(), ['0.heapsnapshot', '1.heapsnapshot']);
  for (const [i, mark] of marks.entries()) {
    const found = await marksIn(directory.at(`${i}.heapsnapshot`));
    assert.ok(found.includes(`MarkOf${mark}`), `${found}`);
    assert.ok(!found.includes(`MarkOf${marks[1 - i]}`), `${found}`);
  }
});

test('its own options count: another signal, a directory, compression; the name says how it is kept', async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('dumps'));
  const app = await start(t, loaded, {
    cwd: directory.path,
    env: { NODE_HEAPDUMP_OPTIONS: 'signal=SIGHUP,dir=dumps,gzip' },
  });
  for (const name of ['a.heapsnapshot', 'a.heapsnapshot.gz']) {
    const { code, stderr } = await runCommand(t, ['node-snapshot', '--pid', app.pid, '--output', directory.at(name)]);
    assert.deepEqual([code, stderr], [0, '']);
    await validateSnapshot(directory.at(name));
  }
  assert.deepEqual(directory.names('dumps'), []);
  assert.deepEqual([...fs.readFileSync(directory.at('a.heapsnapshot.gz')).subarray(0, 2)], [0x1f, 0x8b]);
});

/** Whether a descriptor is of the file that a page of facts names. */
function holds({ pid }, number, file) {
  const found = fs.statSync(`/proc/${pid}/fd/${number}`, { bigint: true, throwIfNoEntry: false });
  return found !== undefined && `${found.dev}:${found.ino}` === file;
}

test('a dump that its process gives up is an error, and leaves nothing', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = await start(t, loaded, { cwd: directory.path, args: { objects: 200_000 } });
  const command = startCommand(t, ['node-snapshot', '--pid', app.pid, '--output', directory.at('a.heapsnapshot')]);
  const child = await snapshotChildOf(app);
  const { file } = readFacts(app.pid).lastSnapshot;
  await waitFor('it is watched', () => [...descriptorsOf(command.pid).keys()].some((number) => holds(command, number, file)));
  signalChild(child, 'SIGKILL');
  const { code, stderr } = await command.ended();
  assert.equal(code, 2);
  assert.match(stderr, /gave the dump up: .*\(ERR_HEAPDUMP_CHILD_KILLED\)/);
  assert.deepEqual(directory.names(), []);
});

test('a dump that somebody else has just asked for is the answer, and stays with them', async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('app'));
  // So many that the dump takes longer than the command needs to ask.
  const app = await start(t, loaded, { cwd: directory.at('app'), args: { objects: 200_000 } });
  app.kill('SIGUSR2');
  // Before it has a name: that it has when it is over.
  await waitFor('its dump', () => readFacts(app.pid).snapshots.length > 0);
  const said = await askNow(app, directory.at('a.heapsnapshot'));
  const [name, ...more] = directory.names('app');
  assert.deepEqual(more, []);
  assert.match(said.join(), new RegExp(`own copy stays: .*${name} \\(another signal asked for it\\)`));
  assert.deepEqual(fs.readFileSync(directory.at('a.heapsnapshot')), fs.readFileSync(directory.at('app', name)));
});

test('the same where that dump is over already', async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('app'));
  const app = await start(t, loaded, { cwd: directory.at('app') });
  app.kill('SIGUSR2');
  await waitFor('its dump', () => directory.names('app').some(isSnapshotName));
  await askNow(app, directory.at('a.heapsnapshot'));
  await validateSnapshot(directory.at('a.heapsnapshot'));
  // That one, and no other unless the second was over.
  assert.ok(directory.names('app').every(isSnapshotName) && directory.names('app').length === 1, `${directory.names('app')}`);
});

test('--via inspector asks a process through that, and it goes on', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = await start(t, unloaded, { nodeOptions: OWN_PORT });
  // It is closed again each time.
  for (const name of ['a.heapsnapshot', 'b.heapsnapshot']) {
    const args = ['node-snapshot', '--pid', app.pid, '--via', 'inspector', '--output', directory.at(name)];
    const { code, stdout, stderr } = await runCommand(t, args);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^warning: .* stands still until that is done\.\n$/);
    const { nodes } = await validateSnapshot(directory.at(name));
    assert.match(stdout, new RegExp(`${nodes} objects`));
    assert.deepEqual(new Target(app.pid).listeners(), []);
  }
  assert.ok(isRunning(processInfo(app.pid)));
  assert.doesNotMatch(app.stdout, /own listener/);
});

test('an inspector that is open is used, and stays open', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = await start(t, unloaded, { nodeOptions: ['--inspect=0'] });
  const { code, stderr } = await runCommand(t, [
    'node-snapshot',
    '--via',
    'inspector',
    '--pid',
    app.pid,
    '--output',
    directory.at('a.heapsnapshot'),
  ]);
  assert.equal(code, 0, stderr);
  await validateSnapshot(directory.at('a.heapsnapshot'));
  assert.equal(new Target(app.pid).listeners().length, 1);
});

test('a process that has loaded it without its signal is never sent one', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const body = (tools) => {
    tools.stayAlive();
    process.on('SIGUSR2', () => tools.say('own listener'));
    tools.say('ready', typeof (tools.args.promises ? tools.promises : tools.heapdump));
  };
  for (const [args, env] of [
    [{ promises: true }, {}],
    [{}, { NODE_HEAPDUMP_OPTIONS: 'nosignal' }],
  ]) {
    const app = await start(t, body, { args, env, nodeOptions: OWN_PORT });
    const { code, stderr } = await runCommand(t, [
      'node-snapshot',
      '--via',
      'inspector',
      '--pid',
      app.pid,
      '--output',
      directory.at('a'),
      '--force',
    ]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, /warning/);
    assert.doesNotMatch(app.stdout, /own listener/);
  }
});

test('a process in a container: its files are read where they are', async (t) => {
  if (!needsRoot(t) || !needsTool(t, 'unshare')) return;
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('app'));
  // Pids, mounts and network of its own; what is written to `app` is not seen from here.
  const via = [
    'unshare',
    '--mount',
    '--pid',
    '--net',
    '--fork',
    '--kill-child',
    'sh',
    '-c',
    'mount -t tmpfs none "$0" && cd "$0" && exec "$@"',
    directory.at('app'),
  ];
  for (const [body, outcome, ...more] of [
    [loaded, 0],
    // From outside, by files that are there alone.
    ...(process.arch === 'x64' ? [[unloaded, 0]] : []),
    [unloaded, 2, '--via', 'inspector'],
  ]) {
    const app = await start(t, body, { via });
    const inside = await waitFor('the process', () => childrenOf(app.pid)[0]);
    const { code, stderr } = await runCommand(t, ['node-snapshot', '--pid', inside.pid, ...more, '--output', directory.at('a')]);
    assert.equal(code, outcome, stderr);
    if (outcome === 0) await validateSnapshot(directory.at('a'));
    else assert.match(stderr, /in a network of its own \(a container\)/);
    if (outcome === 0) assert.deepEqual(fs.readdirSync(`/proc/${inside.pid}/root${directory.at('app')}`), []);
    assert.deepEqual(directory.names('app'), []);
    fs.rmSync(directory.at('a'), { force: true });
  }
});

test('as in docs/docker.md: PID 1, a read-only root, one writable directory, a user without rights', async (t) => {
  if (!needsRoot(t) || !needsTool(t, 'unshare') || !needsTool(t, 'nsenter')) return;
  const directory = makeTemporaryDirectory(t);
  const user = [
    'setpriv',
    '--reuid=65534',
    '--regid=65534',
    '--clear-groups',
    '--no-new-privs',
    '--bounding-set=-all',
    '--inh-caps=-all',
    '--',
  ];
  const container = 'mount -t tmpfs none "$0" && chown 65534:65534 "$0" && mount -o remount,bind,ro / && exec "$@"';
  const via = [
    'unshare',
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
    'sh',
    '-c',
    container,
    directory.path,
    ...user,
  ];
  const app = await start(t, loaded, { via, env: { NODE_HEAPDUMP_OPTIONS: `dir=${directory.path},gzip` } });
  const { pid } = await waitFor('the process', () => childrenOf(app.pid)[0]);
  const inside = { via: ['nsenter', `--target=${pid}`, '--mount', '--pid', '--', ...user] };
  const refused = await runCommand(t, ['node-snapshot', '--pid', 1, '--output', '/a.heapsnapshot.gz'], inside);
  assert.match(refused.stderr, /cannot write .*: (the file system is read-only|not permitted)/);
  const { code, stderr } = await runCommand(
    t,
    ['node-snapshot', '--pid', 1, '--output', directory.at('a.heapsnapshot.gz')],
    inside,
  );
  assert.deepEqual([code, stderr], [0, '']);
  const doctor = await runCommand(t, ['doctor', '--pid', 1], inside);
  assert.equal(doctor.code, 0, doctor.stdout);
  assert.match(doctor.stdout, /it is PID 1/);
  const seen = `/proc/${pid}/root${directory.path}`;
  assert.deepEqual(fs.readdirSync(seen), ['a.heapsnapshot.gz']);
  await validateSnapshot(`${seen}/a.heapsnapshot.gz`);
});

test('whom it cannot ask it says in plain words, and lets live', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const output = ['--output', directory.at('a.heapsnapshot')];
  const refused = async (pid, pattern, options, more = []) => {
    const { code, stdout, stderr } = await runCommand(t, ['node-snapshot', '--pid', pid, ...more, ...output], options);
    assert.deepEqual([code, stdout], [2, '']);
    assert.match(stderr, pattern);
    assert.doesNotMatch(stderr, /\n\s+at /);
  };
  const sleeper = startProgram(t, ['sleep', `${limits.PROGRAM / 1000}`]);
  await refused(sleeper.pid, /process \d+ \(sleep \d+\) is not a Node process/);
  const ended = startProgram(t, ['true']);
  await ended.ended();
  await refused(ended.pid, /no such process: \d+/);
  await refused('4x', /--pid must be a whole number/);
  const deaf = await start(t, unloaded, { env: { NODE_OPTIONS: '--heapsnapshot-signal=SIGUSR1' } });
  await refused(deaf.pid, /writes a snapshot of its own on SIGUSR1/, {}, ['--via', 'inspector']);
  if (needsRoot(t)) {
    const app = await start(t, loaded, { cwd: directory.path });
    fs.chmodSync(directory.path, 0o777);
    await refused(app.pid, /not permitted: process \d+ belongs to root/, { via: WITHOUT_RIGHTS });
    assert.ok(isRunning(processInfo(app.pid)));
  }
  assert.ok(isRunning(processInfo(sleeper.pid)));
  assert.deepEqual(directory.names(), []);
});

test('an older file is replaced only by --force, and a wrong name costs no dump', async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('app'));
  const app = await start(t, loaded, { cwd: directory.at('app') });
  fs.writeFileSync(directory.at('old'), 'old');
  const to = (name, ...more) =>
    runCommand(t, ['node-snapshot', '--pid', app.pid, '--output', directory.at(name), ...more]);
  for (const [name, pattern] of [
    ['old', /is there already; --force/],
    ['missing/a', /there is no such directory/],
    ['old/a', /there is no such directory/],
    ['app', /is no file/],
  ]) {
    const { code, stderr } = await to(name);
    assert.equal(code, 2);
    assert.match(stderr, pattern);
  }
  assert.equal(fs.readFileSync(directory.at('old'), 'utf8'), 'old');
  assert.equal((await to('old', '--force')).code, 0);
  await validateSnapshot(directory.at('old'));
});

test('a link of the container that leads to / leads to its own root, not to ours', async (t) => {
  if (!needsRoot(t) || !needsTool(t, 'unshare') || !needsTool(t, 'chroot')) return;
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('root'));
  // A root directory of its own, in which /dumps is a link to /elsewhere; ours has another /elsewhere at that place.
  const elsewhere = directory.at('elsewhere');
  const container =
    'mount --rbind / "$0" && mount -t tmpfs none "$0$1" && mkdir -p "$0$2" && ln -s "$2" "$0$1/dumps" && shift 2 && exec chroot "$0" "$@"';
  const via = ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', container];
  const app = await start(t, loaded, {
    via: [...via, directory.at('root'), directory.path, elsewhere],
    env: { NODE_HEAPDUMP_OPTIONS: `dir=${directory.at('dumps')}` },
  });
  const { pid } = await waitFor('the process', () => childrenOf(app.pid)[0]);
  const { code, stderr } = await runCommand(t, ['node-snapshot', '--pid', pid, '--output', directory.at('a')]);
  assert.deepEqual([code, stderr], [0, '']);
  await validateSnapshot(directory.at('a'));
  assert.deepEqual(fs.readdirSync(`/proc/${pid}/root${elsewhere}`), []);
});

test('two who ask at the same time get one dump or two, each whole', async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('app'));
  const app = await start(t, loaded, { cwd: directory.at('app'), args: { objects: 100_000 } });
  const answers = await Promise.all(
    ['a', 'b', 'c'].map((name) => runCommand(t, ['node-snapshot', '--pid', app.pid, '--output', directory.at(name)])),
  );
  for (const { code, stderr } of answers) {
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^(the process' own copy stays: .*\n)?$/);
  }
  for (const name of ['a', 'b', 'c']) await validateSnapshot(directory.at(name));
});

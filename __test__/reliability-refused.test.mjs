// Promise 15 of the design: where no child can be forked, the snapshot is taken in process and the report says why, or
// it is an error, as the caller chose. Lack of memory is always an error. Dumps that nobody awaits do not fall back.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { test } from 'node:test';

import { validateSnapshot, validateStream } from '../harness/validate.mjs';
import { startApp } from './support/app.mjs';
import { makeControlGroup, needsRoot, needsTool, refusing, refusingForks } from './support/faults.mjs';
import { isSnapshotName, makeTemporaryDirectory } from './support/files.mjs';
import { waitFor } from './support/processes.mjs';

/** Dumps in every way that a caller can choose. */
const everyChoice = async ({ heapdump, promises, plain }) => {
  const called = new Promise((resolve) => heapdump.writeSnapshot('callback', (error, name, report) => resolve(error ? plain(error) : report)));
  return {
    auto: await promises.writeSnapshot('auto').catch(plain),
    fork: await promises.writeSnapshot('fork', { mode: 'fork' }).catch(plain),
    error: await promises.writeSnapshot('error', { fallback: 'error' }).catch(plain),
    forkButInline: await promises.writeSnapshot('fork-inline', { mode: 'fork', fallback: 'inline' }).catch(plain),
    callback: await called,
    sync: heapdump.writeSnapshotSync('sync'),
  };
};

async function fallsBack(t, reason, options) {
  const directory = makeTemporaryDirectory(t);
  const outcomes = await startApp(t, everyChoice, { cwd: directory.path, ...options }).result();
  for (const way of ['auto', 'forkButInline', 'callback']) {
    assert.equal(outcomes[way].mode, 'inline', `${way}: ${JSON.stringify(outcomes[way])}`);
    assert.match(outcomes[way].fallbackReason, reason, way);
  }
  for (const way of ['fork', 'error']) {
    assert.equal(outcomes[way].code, 'ERR_HEAPDUMP_FORK_UNAVAILABLE', `${way}: ${JSON.stringify(outcomes[way])}`);
    assert.match(outcomes[way].message, reason, way);
  }
  assert.deepEqual([outcomes.sync.mode, outcomes.sync.fallbackReason], ['inline', undefined]);
  assert.deepEqual(directory.names(), ['auto', 'callback', 'fork-inline', 'sync']);
  for (const name of directory.names()) await validateSnapshot(directory.at(name));
}

for (const [errno, words] of [['EPERM', /not permitted/], ['ENOSYS', /not implemented/], ['EAGAIN', /temporarily unavailable/]]) {
  test(`fork(2) that says ${errno}: in process with the reason, or an error`, async (t) => {
    if (!needsTool(t, 'strace')) return;
    await fallsBack(t, words, { via: refusingForks(errno) });
  });
}

test('a seccomp filter that refuses fork: in process with the reason, or an error', async (t) => {
  const via = refusing(t, 'fork', 1);
  if (via) await fallsBack(t, /not permitted/, { via });
});

test('ENOMEM from fork is lack of memory: an error whatever the caller chose, never an attempt in process', async (t) => {
  if (!needsTool(t, 'strace')) return;
  const directory = makeTemporaryDirectory(t);
  const outcomes = await startApp(t, everyChoice, { cwd: directory.path, via: refusingForks('ENOMEM') }).result();
  for (const way of ['auto', 'fork', 'error', 'forkButInline', 'callback']) {
    assert.equal(outcomes[way].code, 'ERR_HEAPDUMP_NO_MEMORY', `${way}: ${JSON.stringify(outcomes[way])}`);
  }
  assert.deepEqual(directory.names(), ['sync']);
});

test('fork that fails once and then works again: the next dump forks', async (t) => {
  if (!needsTool(t, 'strace')) return;
  const directory = makeTemporaryDirectory(t);
  const via = refusingForks('EAGAIN:when=1');
  const app = startApp(t, async ({ promises }) => [await promises.writeSnapshot('a'), await promises.writeSnapshot('b')], { cwd: directory.path, via });
  assert.deepEqual((await app.result()).map(({ mode }) => mode), ['inline', 'fork']);
});

test("node-oom-heapdump's createHeapSnapshot, which somebody awaits, is taken in process", async (t) => {
  if (!needsTool(t, 'strace')) return;
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, () => require('../../lib/oom.js')({ heapdumpOnOOM: false }).createHeapSnapshot('a'), {
    cwd: directory.path, via: refusingForks('EPERM'),
  });
  assert.equal(await app.result(), 'a.heapsnapshot');
  await validateSnapshot(directory.at('a.heapsnapshot'));
});

test('a stream where fork is refused comes from V8 itself, and says why', async (t) => {
  if (!needsTool(t, 'strace')) return;
  const app = startApp(t, ({ heapdump }) => {
    const stream = heapdump.createSnapshotStream();
    stream.on('report', (report) => require('node:fs').writeSync(2, JSON.stringify(report)));
    stream.pipe(require('node:fs').createWriteStream(null, { fd: 3 }));
  }, { via: refusingForks('EPERM'), spawn: { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] } });
  const { bytes } = await validateStream(app.output(3));
  await app.ended();
  const report = JSON.parse(/\{.*\}/.exec(app.stderr)[0]);
  assert.deepEqual([report.mode, report.bytes], ['inline', bytes]);
  assert.match(report.fallbackReason, /not permitted/);
});

test('a stream that may not fall back is an error where fork is refused', async (t) => {
  if (!needsTool(t, 'strace')) return;
  const app = startApp(t, ({ heapdump, plain }) => new Promise((resolve) => {
    heapdump.createSnapshotStream({ fallback: 'error' }).on('error', (error) => resolve(plain(error))).resume();
  }), { via: refusingForks('EPERM') });
  assert.equal((await app.result()).code, 'ERR_HEAPDUMP_FORK_UNAVAILABLE');
});

const idle = ({ heapdump, say, stayAlive }) => {
  stayAlive();
  say('ready', process.pid, typeof heapdump);
};

test('a signal’s dump does not fall back in process: a line and no file', async (t) => {
  if (!needsTool(t, 'strace')) return;
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, idle, { cwd: directory.path, via: refusingForks('EPERM') });
  const pid = Number((await app.says(/ready (\d+)/))[1]);
  process.kill(pid, 'SIGUSR2');
  await app.says(/SIGUSR2: no heap snapshot: .*not permitted/, { on: 'stderr' });
  assert.deepEqual(directory.names(), []);
  process.kill(pid, 'SIGKILL');
});

test('fallback=inline in NODE_HEAPDUMP_OPTIONS lets a signal’s dump fall back in process', async (t) => {
  if (!needsTool(t, 'strace')) return;
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, idle, { cwd: directory.path, via: refusingForks('EPERM'), env: { NODE_HEAPDUMP_OPTIONS: 'fallback=inline' } });
  const pid = Number((await app.says(/ready (\d+)/))[1]);
  process.kill(pid, 'SIGUSR2');
  const [name] = await waitFor('the file', () => directory.names().some(isSnapshotName) && directory.names());
  await validateSnapshot(directory.at(name));
  process.kill(pid, 'SIGKILL');
});

/** Dumps once a limit on processes is reached, by `reach`. */
const dumpAtLimit = async ({ promises, plain, say }) => {
  await promises.writeSnapshot('before');
  say('at the limit');
  await require('node:events').once(process.stdin, 'data');
  const outcome = await promises.writeSnapshot('a').catch(plain);
  const error = await promises.writeSnapshot('b', { fallback: 'error' }).catch(plain);
  process.stdin.destroy();
  return { outcome, error };
};

async function fallsBackAtLimit(app, directory) {
  const { outcome, error } = await app.result();
  assert.equal(outcome.mode, 'inline', JSON.stringify(outcome));
  assert.match(outcome.fallbackReason, /temporarily unavailable/);
  assert.equal(error.code, 'ERR_HEAPDUMP_FORK_UNAVAILABLE', JSON.stringify(error));
  assert.deepEqual(directory.names(), ['a', 'before']);
  await validateSnapshot(directory.at('a'));
}

test('a pids control group that is full: in process with the reason, or an error', async (t) => {
  if (!needsRoot(t)) return;
  const group = makeControlGroup(t, 'pids', { 'pids.max': 500 });
  if (group === undefined) return;
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, dumpAtLimit, { cwd: directory.path, via: group.via, spawn: { stdio: ['pipe', 'pipe', 'pipe'] } });
  await app.says(/at the limit/);
  await waitFor('driving threads are gone', () => !threadNames(app.pid).includes('heapdump'));
  // Not even a thread can be made.
  group.write('pids.max', group.read('pids.current'));
  app.writeInput('go on');
  await fallsBackAtLimit(app, directory);
});

test('a pids control group with room for a thread and not for a child', async (t) => {
  if (!needsRoot(t)) return;
  const group = makeControlGroup(t, 'pids', { 'pids.max': 500 });
  if (group === undefined) return;
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, dumpAtLimit, { cwd: directory.path, via: group.via, spawn: { stdio: ['pipe', 'pipe', 'pipe'] } });
  await app.says(/at the limit/);
  await waitFor('driving threads are gone', () => !threadNames(app.pid).includes('heapdump'));
  group.write('pids.max', Number(group.read('pids.current')) + 1);
  app.writeInput('go on');
  await fallsBackAtLimit(app, directory);
});

const threadNames = (pid) => fs.readdirSync(`/proc/${pid}/task`).map((tid) => fs.readFileSync(`/proc/${pid}/task/${tid}/comm`, 'utf8').trim());

test('RLIMIT_NPROC that is reached: in process with the reason, or an error', async (t) => {
  if (!needsRoot(t) || !needsTool(t, 'setpriv') || !needsTool(t, 'prlimit')) return;
  const directory = makeTemporaryDirectory(t);
  fs.chmodSync(directory.path, 0o777);
  // A user of its own: the limit counts all processes and threads of a user.
  const user = `${61_000 + (process.pid % 4000)}`;
  const via = ['setpriv', `--reuid=${user}`, '--regid=65534', '--clear-groups', '--'];
  const app = startApp(t, dumpAtLimit, { cwd: directory.path, via, spawn: { stdio: ['pipe', 'pipe', 'pipe'] } });
  await app.says(/at the limit/);
  const { status, stderr } = spawnSync(via[0], [...via.slice(1), 'prlimit', '--pid', `${app.pid}`, '--nproc=1:1'], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  app.writeInput('go on');
  await fallsBackAtLimit(app, directory);
});

test('without /proc: in process with the reason, or an error', async (t) => {
  if (!needsRoot(t) || !needsTool(t, 'unshare')) return;
  const probe = spawnSync('unshare', ['-m', 'sh', '-c', 'mount -t tmpfs none /proc']);
  if (probe.status !== 0) return t.diagnostic('not run: no mount namespace can be made here');
  await fallsBack(t, /\/proc/, { via: ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /proc && exec "$@"', 'sh'] });
});

const NAMES = {
  platform: '_ZN4node23GetMultiIsolatePlatformEPNS_11EnvironmentE',
  profiler: '_ZNK2v812HeapSnapshot9SerializeEPNS_12OutputStreamENS0_19SerializationFormatE',
};

/** A copy of this Node that does not export `name`: a letter of it is another one. */
function nodeWithout(t, directory, name) {
  const copy = directory.at('node');
  fs.copyFileSync(process.execPath, copy, fs.constants.COPYFILE_FICLONE);
  const binary = fs.readFileSync(copy);
  let found = 0;
  for (let at = binary.indexOf(`${name}\0`); at >= 0; at = binary.indexOf(`${name}\0`, at + 1)) {
    binary[at + name.length - 1] = 'Q'.charCodeAt(0);
    found++;
  }
  if (found === 0) return undefined;
  fs.writeFileSync(copy, binary, { mode: 0o755 });
  return copy;
}

test('a symbol of the platform is missing: in process, and the reason names it', async (t) => {
  const node = nodeWithout(t, makeTemporaryDirectory(t), NAMES.platform);
  assert.ok(node, 'this Node has the name');
  await fallsBack(t, /does not export node::GetMultiIsolatePlatform/, { node });
});

test('a symbol of the profiler is missing: V8 writes the file by itself, with our guarantees', async (t) => {
  const node = nodeWithout(t, makeTemporaryDirectory(t), NAMES.profiler);
  assert.ok(node, 'this Node has the name');
  const directory = makeTemporaryDirectory(t);
  fs.writeFileSync(directory.at('a'), 'the old file');
  const app = startApp(t, async ({ heapdump, promises, plain }) => {
    let chunks = 0;
    const stream = heapdump.createSnapshotStream();
    stream.on('data', (chunk) => (chunks += chunk.length));
    const streamed = new Promise((resolve) => stream.on('report', resolve).on('error', (error) => resolve(plain(error))));
    return {
      auto: await promises.writeSnapshot('a').catch(plain),
      gzip: await promises.writeSnapshot('b', { compress: 'gzip' }).catch(plain),
      full: await promises.writeSnapshot('/dev/full').catch(plain),
      missing: await promises.writeSnapshot('no/such/directory').catch(plain),
      streamed: await streamed,
      chunks,
    };
  }, { cwd: directory.path, node });
  const { auto, gzip, full, missing, streamed, chunks } = await app.result();
  for (const report of [auto, gzip]) {
    assert.equal(report.mode, 'inline', JSON.stringify(report));
    assert.match(report.fallbackReason, /does not export v8::HeapSnapshot::Serialize/);
    assert.equal(fs.statSync(report.path).mode & 0o777, 0o600);
    await validateSnapshot(report.path);
  }
  assert.deepEqual([full.code, missing.code], ['ENOSPC', 'ENOENT']);
  assert.deepEqual([streamed.mode, streamed.bytes], ['inline', chunks], JSON.stringify(streamed));
  assert.deepEqual(directory.names(), ['a', 'b.gz']);
});

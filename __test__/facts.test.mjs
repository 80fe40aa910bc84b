// The page of facts: what a process that has loaded the package says of itself, however it was told, and to whom.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { validateSnapshot } from '../harness/validate.mjs';
import { ROOT, startApp, startProgram } from './support/app.mjs';
import { runCommand } from './support/command.mjs';
import { WITHOUT_RIGHTS, needsRoot, needsTool } from './support/faults.mjs';
import { makeTemporaryDirectory, watchOpens } from './support/files.mjs';
import { childrenOf, descriptorsOf, isRunning, processInfo, snapshotChildOf, waitFor } from './support/processes.mjs';

const require = createRequire(import.meta.url);
const FACTS = path.join(ROOT, 'lib/cli/facts.js');
const { readFacts } = require(FACTS);

const REFUSE = fileURLToPath(new URL('children/refuse.py', import.meta.url));
const PAGE = fileURLToPath(new URL('children/page.py', import.meta.url));
const MEMFD = /^\/memfd:heapdump-rs/;

const loaded = ({ heapdump, say, stayAlive }) => {
  stayAlive();
  say('ready', typeof heapdump);
};

async function start(t, body, options) {
  const app = startApp(t, body, options);
  await app.says(/ready/);
  return app;
}

const dump = (t, pid, file, options) =>
  runCommand(t, ['node-snapshot', '--pid', pid, '--output', file], { ...options });

test('what it says: version, signal, directory, mode, threads; nothing of its surroundings', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const before = Date.now();
  const app = await start(t, loaded, {
    cwd: directory.path,
    env: { NODE_HEAPDUMP_OPTIONS: 'gzip,nofork,workers,oom', TOKEN: 'secret-of-the-environment' },
    args: { word: 'secret-of-an-argument' },
    nodeOptions: ['--max-old-space-size=300'],
  });
  const { loadedAt, heapLimit, ...facts } = readFacts(app.pid);
  assert.deepEqual(facts, {
    pid: app.pid,
    version: require('../package.json').version,
    signal: 'SIGUSR2',
    directory: directory.path,
    directoryFrom: undefined,
    mode: 'inline',
    compression: 'gzip',
    output: 'snapshot',
    lowMemory: 'error',
    redact: undefined,
    encrypt: undefined,
    threads: { loaded: 1, dumped: 1, main: true },
    nearHeapLimit: false,
    monitors: 0,
    signals: 0,
    snapshots: [],
    lastSnapshot: undefined,
  });
  assert.ok(loadedAt >= before && loadedAt <= Date.now());
  assert.ok(heapLimit >= 300 * 2 ** 20 && heapLimit < 600 * 2 ** 20, `${heapLimit}`);
  // The bytes themselves: a header, and JSON of known members.
  const [number] = [...descriptorsOf(app.pid)].find(([, file]) => MEMFD.test(file));
  const bytes = fs.readFileSync(`/proc/${app.pid}/fd/${number}`);
  assert.doesNotMatch(bytes.toString('latin1'), /secret|TOKEN|host\.cjs|oom/);
  const texts = bytes.toString('latin1').match(/\{[^\0]*\}/g).map((text) => JSON.parse(text));
  const members = new Set(texts.flatMap(Object.keys));
  assert.deepEqual(
    [...members].sort(),
    ['compression', 'directory', 'heapLimit', 'loadedAt', 'mode', 'monitors', 'nearHeapLimit', 'pid', 'signal']
      .concat(['lowMemory', 'output', 'signals', 'snapshots', 'threads', 'version'])
      .sort(),
  );
});

test('what an .env file or the program itself says, or takes back later, is what was read when the package was loaded', async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('dumps'));
  fs.writeFileSync(directory.at('.env'), 'NODE_HEAPDUMP_OPTIONS="signal=SIGHUP,dir=dumps"\n');
  const fromFile = ({ heapdump, say, stayAlive }) => {
    stayAlive();
    say('ready', typeof heapdump);
    process.title = 'an application --signal=SIGQUIT';
  };
  const assigned = (tools) => {
    tools.stayAlive();
    // As dotenv does it.
    process.env.NODE_HEAPDUMP_OPTIONS = 'signal=SIGHUP,dir=dumps';
    tools.say('ready', typeof tools.heapdump);
    delete process.env.NODE_HEAPDUMP_OPTIONS;
    process.title = 'x';
  };
  for (const [body, options] of [
    [fromFile, { nodeOptions: [`--env-file=${directory.at('.env')}`] }],
    [assigned, {}],
  ]) {
    const app = await start(t, body, { cwd: directory.path, ...options });
    const { signal, directory: to } = readFacts(app.pid);
    assert.deepEqual([signal, to], ['SIGHUP', directory.at('dumps')]);
    const doctor = await runCommand(t, ['doctor', '--pid', app.pid]);
    assert.match(doctor.stdout, new RegExp(`SIGHUP dumps \\(kill -HUP ${app.pid}\\)`));
    assert.ok(doctor.stdout.includes(`go to ${directory.at('dumps')}`), doctor.stdout);
    const { code, stderr } = await dump(t, app.pid, directory.at('a.heapsnapshot'));
    assert.deepEqual([code, stderr], [0, '']);
    fs.rmSync(directory.at('a.heapsnapshot'));
    assert.deepEqual(directory.names('dumps'), []);
  }
});

test('a directory that is not absolute is where the process is now', async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('later'));
  const app = await start(
    t,
    ({ heapdump, say, stayAlive }) => {
      stayAlive();
      say(typeof heapdump);
      process.chdir('later');
      say('ready');
    },
    { cwd: directory.path },
  );
  assert.equal(readFacts(app.pid).directory, directory.at('later'));
  const { code, stderr } = await dump(t, app.pid, directory.at('a.heapsnapshot'));
  assert.deepEqual([code, stderr], [0, '']);
});

test('one page a process, whichever threads have loaded the package; no signal without one that is dumped', async (t) => {
  const app = await start(t, async ({ worker, say, stayAlive, once }) => {
    stayAlive();
    const threads = [1, 2].map(() =>
      worker(({ heapdump }) => {
        const { parentPort } = require('node:worker_threads');
        parentPort.postMessage(typeof heapdump);
        parentPort.on('message', () => process.exit());
      }),
    );
    await Promise.all(threads.map((thread) => once(thread, 'message')));
    process.once('SIGHUP', async () => {
      for (const thread of threads) thread.postMessage('end');
      await Promise.all(threads.map((thread) => once(thread, 'exit')));
      say('ended');
    });
    say('ready');
  });
  const { signal, threads } = readFacts(app.pid);
  assert.deepEqual([signal, threads], ['SIGUSR2', { loaded: 2, dumped: 1, main: false }]);
  assert.equal([...descriptorsOf(app.pid).values()].filter((file) => MEMFD.test(file)).length, 1);
  app.kill('SIGHUP');
  await app.says(/ended/);
  const later = readFacts(app.pid);
  assert.deepEqual([later.signal, later.threads], [undefined, { loaded: 0, dumped: 0, main: false }]);
});

test('every snapshot is on it: who asked, the file while it is open and where it stands, and why there is none', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = await start(
    t,
    async ({ heapdump, promises, say, stayAlive }) => {
      stayAlive();
      await promises.writeSnapshot('a.heapsnapshot');
      await promises.writeSnapshot('b.heapsnapshot', { timeout: 1 }).catch(() => {});
      heapdump.writeSnapshotSync('c.heapsnapshot');
      say('ready');
    },
    { cwd: directory.path },
  );
  const { snapshots, lastSnapshot } = readFacts(app.pid);
  assert.deepEqual(
    snapshots.map(({ number, cause, state, main, path: name, code }) => [number, cause, state, main, name, code]),
    [
      [1, 'call', 'complete', true, directory.at('a.heapsnapshot'), undefined],
      [2, 'call', 'failed', true, directory.at('b.heapsnapshot'), 'ERR_HEAPDUMP_TIMEOUT'],
      [3, 'call', 'complete', true, directory.at('c.heapsnapshot'), undefined],
    ],
  );
  assert.equal(lastSnapshot, snapshots.at(-1));
  for (const { path: name, file, bytes, askedAt, endedAt } of [snapshots[0], snapshots[2]]) {
    const { dev, ino, size } = fs.statSync(name, { bigint: true });
    assert.deepEqual([file, BigInt(bytes)], [`${dev}:${ino}`, size]);
    assert.ok(askedAt <= endedAt);
  }
  const { stdout } = await runCommand(t, ['doctor', '--pid', app.pid]);
  assert.match(stdout, /last {4}the last snapshot \(call\) into .*c\.heapsnapshot is complete/);
});

test('the failure of a dump of the signal is said by node-snapshot, with its code', async (t) => {
  if (!needsRoot(t)) return;
  const directory = makeTemporaryDirectory(t);
  fs.chmodSync(directory.path, 0o755);
  const app = await start(t, loaded, { cwd: directory.path, via: WITHOUT_RIGHTS });
  const { code, stderr } = await dump(t, app.pid, directory.at('a.heapsnapshot'));
  assert.equal(code, 2);
  assert.match(stderr, /gave the dump up: heapdump write error: open .*Permission denied.*\(EACCES\)/);
  const [{ cause, state, errno, code: said }] = readFacts(app.pid).snapshots;
  assert.deepEqual([cause, state, errno, said], ['signal', 'failed', undefined, 'EACCES']);
  assert.deepEqual(directory.names(), []);
});

test('what watches its memory, and what each of them stores', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = await start(
    t,
    ({ say, stayAlive, args }) => {
      stayAlive();
      const watching = require('../../lib/monitor.js').monitor({ dir: args.dir, every: 50, max: 1, oom: true });
      watching.once('snapshot', () => say('ready'));
      process.once('SIGHUP', () => {
        watching.stop();
        watching.stop();
        say('stopped');
      });
    },
    { args: { dir: directory.path } },
  );
  const { signal, monitors, nearHeapLimit, snapshots } = readFacts(app.pid);
  assert.deepEqual([signal, monitors, nearHeapLimit], [undefined, 1, true]);
  assert.ok(snapshots.some(({ cause, state }) => cause === 'monitor' && state === 'complete'));
  app.kill('SIGHUP');
  await app.says(/stopped/);
  assert.equal(readFacts(app.pid).monitors, 0);
});

test('while another part of the application answers the signal there is none', async (t) => {
  const app = await start(t, ({ heapdump, say, stayAlive }) => {
    stayAlive();
    const { heap } = require('../../lib/native.js');
    heap.handOverSignal(true);
    process.once('SIGHUP', () => {
      heap.handOverSignal(false);
      say('back');
    });
    say('ready', typeof heapdump);
  });
  assert.equal(readFacts(app.pid).signal, undefined);
  app.kill('SIGHUP');
  await app.says(/back/);
  assert.equal(readFacts(app.pid).signal, 'SIGUSR2');
});

test('of two copies of the package in a process the one that answers the signal is heard', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const parts = fs.readdirSync(ROOT).filter((name) => /^(lib|index\.js|package\.json|heapdump-rs\..*\.node)$/.test(name));
  for (const part of parts) fs.cpSync(path.join(ROOT, part), directory.at('copy', part), { recursive: true });
  fs.mkdirSync(directory.at('cwd'));
  for (const first of ['theirs', 'ours']) {
    const app = await start(
      t,
      (tools) => {
        tools.stayAlive();
        if (tools.args.first === 'ours') tools.say(typeof tools.heapdump);
        require(tools.args.copy);
        tools.say('ready', typeof tools.heapdump);
      },
      { cwd: directory.at('cwd'), args: { copy: directory.at('copy'), first } },
    );
    assert.equal([...descriptorsOf(app.pid).values()].filter((file) => MEMFD.test(file)).length, 2);
    assert.equal(readFacts(app.pid).signal, 'SIGUSR2');
    const { code, stderr } = await dump(t, app.pid, directory.at(`${first}.heapsnapshot`));
    assert.deepEqual([code, stderr], [0, '']);
    assert.deepEqual(directory.names('cwd'), []);
  }
});

test('neither the child that takes a snapshot nor a program that the process starts has its page', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = await start(
    t,
    ({ heapdump, fill, say, stayAlive }) => {
      stayAlive();
      fill(60_000);
      require('node:child_process').spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)']);
      say('ready', typeof heapdump);
    },
    { cwd: directory.path },
  );
  app.kill('SIGUSR2');
  const child = await snapshotChildOf(app);
  const pages = ({ pid }) => [...descriptorsOf(pid).values()].filter((file) => MEMFD.test(file)).length;
  const family = childrenOf(app.pid);
  assert.ok(family.length >= 2);
  for (const member of family) if (member.name !== 'heapdump' || member.pid === child.pid) assert.equal(pages(member), 0);
  assert.equal(readFacts(child.pid), undefined);
  assert.equal(readFacts(app.pid).lastSnapshot.state, 'running');
  const refused = await dump(t, child.pid, directory.at('a'));
  assert.match(refused.stderr, /is a child that takes a snapshot; ask its parent|has ended|no such process/);
  const { state, path: name } = await waitFor('the end', () => {
    const { lastSnapshot } = readFacts(app.pid);
    return lastSnapshot.endedAt !== undefined && lastSnapshot;
  }, 55_000);
  assert.equal(state, 'complete');
  await validateSnapshot(name);
  for (const member of childrenOf(app.pid)) process.kill(member.pid, 'SIGKILL');
});

test('who may not look at the process may not read it; root and its own user may', async (t) => {
  if (!needsRoot(t)) return;
  const mine = await start(t, loaded);
  const theirs = await start(t, loaded, { via: WITHOUT_RIGHTS });
  const script = `console.log(require(${JSON.stringify(FACTS)}).readFacts(Number(process.argv[1]))?.signal)`;
  const asThem = (pid) =>
    spawnSync(WITHOUT_RIGHTS[0], [...WITHOUT_RIGHTS.slice(1), process.execPath, '-e', script, `${pid}`], { encoding: 'utf8' });
  assert.deepEqual([asThem(mine.pid).stdout, asThem(theirs.pid).stdout], ['undefined\n', 'SIGUSR2\n']);
  assert.equal(readFacts(theirs.pid).signal, 'SIGUSR2');
});

test('nobody but the process writes its page', async (t) => {
  const app = await start(t, loaded);
  const [number] = [...descriptorsOf(app.pid)].find(([, file]) => MEMFD.test(file));
  const file = `/proc/${app.pid}/fd/${number}`;
  // Root may open it for writing, and is refused by the seal all the same (F_SEAL_FUTURE_WRITE, Linux 5.1).
  assert.throws(() => fs.writeFileSync(file, 'x', { flag: 'r+' }), /EPERM|EACCES/);
  assert.throws(() => fs.truncateSync(file, 0), /EPERM|EACCES/);
  assert.equal(readFacts(app.pid).signal, 'SIGUSR2');
});

test('a reader never sees half of it', async (t) => {
  const app = await start(t, ({ heapdump, say }) => {
    const { heap } = require('../../lib/native.js');
    say('ready', typeof heapdump);
    const until = Date.now() + 40_000;
    const pause = new Int32Array(new SharedArrayBuffer(4));
    for (let i = 0; Date.now() < until; i++) {
      heap.handOverSignal(i % 2 === 0);
      // A page that is written without a pause cannot be read.
      if (i % 99 === 0) Atomics.wait(pause, 0, 0, 1);
    }
  });
  const seen = new Set();
  for (let i = 0; i < 300; i++) {
    const facts = readFacts(app.pid);
    assert.equal(facts?.pid, app.pid);
    seen.add(facts.signal);
  }
  assert.deepEqual([...seen].sort(), ['SIGUSR2', undefined]);
});

test('where memfd_create is refused there is no page, and no signal is sent', async (t) => {
  if (process.arch !== 'x64' || !needsTool(t, 'python3')) return t.diagnostic('not run: the filter is for x86_64 and in Python');
  const probe = spawnSync('python3', [REFUSE, 'memfd', '38', 'true'], { encoding: 'utf8' });
  if (/prctl/.test(probe.stderr)) return t.diagnostic(`not run: ${probe.stderr}`);
  const directory = makeTemporaryDirectory(t);
  const app = await start(t, loaded, { cwd: directory.path, via: ['python3', REFUSE, 'memfd', '38'] });
  assert.equal(readFacts(app.pid), undefined);
  const { code, stderr } = await runCommand(t, ['node-snapshot', '--via', 'signal', '--pid', app.pid, '--output', directory.at('a')]);
  assert.equal(code, 2);
  assert.match(stderr, /has loaded heapdump-rs and does not say how it is asked: .*memfd_create.*it is caught/);
  const doctor = await runCommand(t, ['doctor', '--pid', app.pid]);
  assert.match(doctor.stdout, /does not say how it is asked.*memfd_create/);
  assert.match(doctor.stdout, /! files {3}where dumps of the signal go is not known/);
  assert.deepEqual(directory.names(), []);
  // It works as ever.
  app.kill('SIGUSR2');
  await waitFor('a dump', () => directory.names().some((name) => /^heapdump-.*\.heapsnapshot$/.test(name)));
});

test('a page that somebody made up is no page, and is not believed', async (t) => {
  if (!needsTool(t, 'python3')) return;
  const directory = makeTemporaryDirectory(t);
  for (const [member, outcome] of [
    [{}, 'object'],
    // As its parent has it.
    [{ pid: 1 }, 'undefined'],
    [{ signal: 'SIGKILL' }, 'undefined'],
    [{ directory: 7 }, 'undefined'],
    [{ snapshots: 'x' }, 'undefined'],
    [{ snapshots: [{ number: 1, cause: 'call', state: 'complete', main: true, askedAt: 1, path: 'relative' }] }, 'undefined'],
  ]) {
    const app = startProgram(t, ['python3', PAGE, JSON.stringify(member)]);
    await app.says(/ready/);
    assert.equal(typeof readFacts(app.pid), outcome, JSON.stringify(member));
    // SIGHUP would end it.
    const { code, stderr } = await dump(t, app.pid, directory.at('a'));
    assert.equal(code, 2, stderr);
    assert.ok(isRunning(processInfo(app.pid)));
    await app.stop();
  }
});

test('what is called as a page and is no file is not opened', async (t) => {
  if (!needsRoot(t) || !needsTool(t, 'unshare')) return;
  const directory = makeTemporaryDirectory(t);
  // The root of a file system that is mounted nowhere any more, as one that the process has made its root directory.
  const hold =
    'mount -t tmpfs none "$0" && mkfifo "$0/memfd:heapdump-rs" && exec 3<>"$0/memfd:heapdump-rs" && umount -l "$0" && echo ready && exec sleep 600';
  const app = startProgram(t, ['unshare', '--mount', 'sh', '-c', hold, directory.path]);
  await app.says(/ready/);
  assert.ok([...descriptorsOf(app.pid).values()].some((file) => MEMFD.test(file)));
  const opened = watchOpens(t);
  assert.equal(readFacts(app.pid), undefined);
  assert.deepEqual(opened, []);
});

test('a thousand descriptors of one page, or many pages, keep nobody busy', async (t) => {
  if (!needsTool(t, 'python3')) return;
  const program = `
import os, sys, time
for i in range(int(sys.argv[1])):
    fd = os.memfd_create("heapdump-rs")
    os.write(fd, b"no page")
    os.ftruncate(fd, 64 + 2 * 16384)
for i in range(int(sys.argv[2])): os.dup(fd)
print("ready", flush=True)
time.sleep(600)
`;
  const { readSync } = fs;
  let reads = 0;
  t.mock.method(fs, 'readSync', (...words) => {
    reads++;
    return readSync(...words);
  });
  for (const [pages, copies, most] of [
    [1, 500, 1],
    [100, 0, 8],
  ]) {
    const app = startProgram(t, ['python3', '-c', program, `${pages}`, `${copies}`]);
    await app.says(/ready/);
    reads = 0;
    assert.equal(readFacts(app.pid), undefined);
    assert.equal(reads, most);
  }
});

// Promises 1 to 7 of the design, about files: whole or not there, and nobody else's. Faults of the disk itself are in
// reliability-disk.test.mjs.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { NODE_MAJOR, ROOT, startApp } from './support/app.mjs';
import { injectInto, needsRoot, needsTool, waysToMakeFiles, WITHOUT_RIGHTS } from './support/faults.mjs';
import { isSnapshotName, makeTemporaryDirectory } from './support/files.mjs';
import { snapshotChildOf, waitFor } from './support/processes.mjs';

/** How a call ends, each way of asking: fork, in process, synchronous. The callback must come once. */
const everyWay = async ({ heapdump, args, plain }) => {
  const outcomes = [];
  for (const mode of ['fork', 'inline']) {
    let calls = 0;
    const outcome = await new Promise((resolve) => {
      const returned = heapdump.writeSnapshot(args.name, { mode }, (error, name, report) => {
        calls++;
        setImmediate(() => resolve({ returned, error: error && plain(error), report }));
      });
    });
    outcomes.push({ ...outcome, calls });
  }
  try {
    outcomes.push({ error: null, calls: 1, report: heapdump.writeSnapshotSync(args.name) });
  } catch (error) {
    outcomes.push({ error: plain(error), calls: 1 });
  }
  return outcomes;
};

async function outcomesOf(t, name, options) {
  const outcomes = await startApp(t, everyWay, { args: { name }, ...options }).result();
  assert.equal(outcomes.length, 3);
  for (const { calls } of outcomes) assert.equal(calls, 1);
  return outcomes;
}

// strace splits a call in two when another thread's comes in between.
const DONE = '(\\)\\s*= 0| <unfinished)';
const STEPS = {
  'without a name': {
    'a new one': [/openat\(.*O_TMPFILE/, `fsync\\(.*#\\d+.*${DONE}`, `linkat\\(.*/fd/\\d+.*, .*/a", AT_SYMLINK_FOLLOW${DONE}`, `fsync\\([^#]*${DONE}`],
    'an old one': [
      /openat\(.*O_TMPFILE/,
      `fsync\\(.*#\\d+.*${DONE}`,
      `linkat\\(.*/fd/\\d+.*\\.tmp", AT_SYMLINK_FOLLOW${DONE}`,
      `rename\\w*\\(.*\\.tmp", .*/a"${DONE}`,
      `fsync\\([^#]*${DONE}`,
    ],
  },
  'under a temporary name': {
    'a new one': [/openat\(.*\/\.a\.[^/"]*tmp", .*O_EXCL/, `fsync\\(.*\\.tmp>${DONE}`, `rename\\w*\\(.*\\.tmp", .*/a"${DONE}`, `fsync\\([^.]*${DONE}`],
  },
};

test('made in the same directory, fsync, the name, fsync of the directory, in this order', async (t) => {
  if (!needsTool(t, 'strace')) return;
  for (const [how, way] of waysToMakeFiles(t)) {
    for (const [what, steps] of Object.entries(STEPS[how])) {
      for (const mode of ['fork', 'inline']) {
        const directory = makeTemporaryDirectory(t);
        if (what === 'an old one') fs.writeFileSync(directory.at('a'), 'old');
        const log = makeTemporaryDirectory(t).at('log');
        const via = ['strace', '-f', '-qq', '-y', '-o', log, '-e', 'trace=openat,fsync,fdatasync,linkat,rename,renameat,renameat2', ...way];
        const app = startApp(t, ({ promises, args }) => promises.writeSnapshot('a', { mode: args.mode }), { cwd: directory.path, via, args: { mode } });
        await app.result();
        const calls = fs.readFileSync(log, 'utf8').split('\n').filter((line) => line.includes(directory.path));
        const found = steps.map((step) => calls.findIndex((line) => new RegExp(step).test(line)));
        assert.ok(found.every((at, i) => at >= 0 && (i === 0 || at > found[i - 1])), `${how}, ${what}, ${mode}: ${found} of\n${calls.join('\n')}`);
      }
    }
  }
});

test('a link at the target is replaced, never followed: to a file, to nothing, to a link', async (t) => {
  for (const target of ['precious', 'nothing', 'link to precious']) {
    const directory = makeTemporaryDirectory(t);
    fs.writeFileSync(directory.at('precious'), 'untouched');
    fs.symlinkSync('precious', directory.at('link to precious'));
    fs.symlinkSync(target, directory.at('a'));
    for (const { error } of await outcomesOf(t, 'a', { cwd: directory.path })) assert.equal(error, null);
    assert.ok(fs.lstatSync(directory.at('a')).isFile());
    assert.equal(fs.readFileSync(directory.at('precious'), 'utf8'), 'untouched');
    assert.deepEqual(directory.names(), ['a', 'link to precious', 'precious']);
    await validateSnapshot(directory.at('a'));
  }
});

test('a hard link at the target keeps the other name’s content', async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.writeFileSync(directory.at('precious'), 'untouched');
  fs.linkSync(directory.at('precious'), directory.at('a'));
  await outcomesOf(t, 'a', { cwd: directory.path });
  assert.equal(fs.readFileSync(directory.at('precious'), 'utf8'), 'untouched');
  await validateSnapshot(directory.at('a'));
});

test('a FIFO, a socket, a directory and links to them get an error at once, and stay', async (t) => {
  const directory = makeTemporaryDirectory(t);
  assert.equal(spawnSync('mkfifo', [directory.at('fifo')]).status, 0);
  const server = net.createServer().listen(directory.at('socket'));
  t.after(() => server.close());
  fs.mkdirSync(directory.at('directory'));
  for (const kind of ['fifo', 'socket', 'directory']) fs.symlinkSync(kind, directory.at(`link to ${kind}`));
  fs.symlinkSync('/dev/null', directory.at('link to null'));
  await waitFor('the socket', () => fs.existsSync(directory.at('socket')));
  const before = directory.names();
  for (const name of before) {
    for (const { error, returned } of await outcomesOf(t, name, { cwd: directory.path })) {
      assert.equal(error?.code, name.endsWith('directory') ? 'EISDIR' : 'ERR_HEAPDUMP_NOT_A_FILE', name);
      assert.equal(error.path, `${fs.realpathSync(directory.path)}/${name}`);
      assert.ok(!returned);
    }
  }
  assert.deepEqual(directory.names(), before);
});

test('a file that another user owns is not replaced, even where the directory would allow it', async (t) => {
  if (!needsRoot(t) || !needsTool(t, 'setpriv')) return;
  const directory = makeTemporaryDirectory(t);
  fs.chmodSync(directory.path, 0o777);
  fs.writeFileSync(directory.at('a'), 'root’s');
  for (const { error } of await outcomesOf(t, 'a', { cwd: directory.path, via: WITHOUT_RIGHTS })) {
    assert.deepEqual([error.code, error.syscall], ['EACCES', 'open']);
  }
  assert.equal(fs.readFileSync(directory.at('a'), 'utf8'), 'root’s');
  assert.deepEqual(directory.names(), ['a']);
});

test('a directory without rights is EACCES', async (t) => {
  if (!needsRoot(t) || !needsTool(t, 'setpriv')) return;
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('closed'), { mode: 0o700 });
  fs.mkdirSync(directory.at('unwritable'), { mode: 0o755 });
  fs.chmodSync(directory.path, 0o755);
  for (const name of ['closed/a', 'unwritable/a']) {
    for (const { error } of await outcomesOf(t, name, { cwd: directory.path, via: WITHOUT_RIGHTS })) {
      assert.deepEqual([error.code, error.syscall], ['EACCES', 'open'], name);
      assert.match(error.message, /^heapdump write error EACCES/);
    }
  }
  assert.deepEqual([...directory.names('closed'), ...directory.names('unwritable')], []);
});

test('a user without rights gets a snapshot where it may write', async (t) => {
  if (!needsRoot(t) || !needsTool(t, 'setpriv')) return;
  const directory = makeTemporaryDirectory(t);
  fs.chmodSync(directory.path, 0o777);
  const [forked] = await outcomesOf(t, 'a', { cwd: directory.path, via: WITHOUT_RIGHTS });
  assert.equal(forked.report.mode, 'fork');
  assert.equal(fs.statSync(directory.at('a')).uid, 65534);
  await validateSnapshot(directory.at('a'));
});

test('two processes with one name: one whole file wins, and nothing else is left', async (t) => {
  const dump = async ({ promises, fill, args }) => {
    fill(args.count);
    for (let i = 0; i < 4; i++) await promises.writeSnapshot('same');
  };
  for (const [, via] of waysToMakeFiles(t)) {
    const directory = makeTemporaryDirectory(t);
    const apps = [2000, 9000].map((count) => startApp(t, dump, { cwd: directory.path, args: { count }, via }));
    await Promise.all(apps.map((app) => app.result()));
    assert.deepEqual(directory.names(), ['same']);
    await validateSnapshot(directory.at('same'));
  }
});

test('two threads with one name: one whole file wins, and nothing else is left', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ worker, once }) => {
    const dump = async ({ promises, heapdump, fill, args }) => {
      fill(args.count);
      for (let i = 0; i < 3; i++) await promises.writeSnapshot('same');
      heapdump.writeSnapshotSync('same');
    };
    await Promise.all([1000, 5000].map((count) => once(worker(dump, { count }), 'exit')));
  }, { cwd: directory.path });
  await app.result();
  assert.deepEqual(directory.names(), ['same']);
  await validateSnapshot(directory.at('same'));
});

test('default names never collide: processes, threads and requests of one moment', async (t) => {
  const dump = async ({ promises, worker, once }) => {
    const three = async ({ promises }) => {
      await Promise.all([1, 2, 3].map(() => promises.writeSnapshot()));
    };
    const thread = once(worker(three), 'exit');
    await Promise.all([three({ promises }), thread]);
  };
  for (const [, via] of waysToMakeFiles(t)) {
    const directory = makeTemporaryDirectory(t);
    await Promise.all([1, 2, 3].map(() => startApp(t, dump, { cwd: directory.path, via }).result()));
    assert.equal(directory.names().length, 18);
    assert.ok(directory.names().every(isSnapshotName), directory.names().join());
  }
});

test('a default name that another process takes meanwhile: the next one, and the caller is told', async (t) => {
  if (!needsTool(t, 'strace')) return;
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, fill }) => new Promise((resolve) => {
    fill(20_000);
    heapdump.writeSnapshot((error, name, { path }) => resolve({ error, name, path }));
  }), { cwd: directory.path });
  await injectInto(t, await snapshotChildOf(app), undefined, 'linkat:error=EEXIST:when=1+2');
  const { error, name, path } = await app.result();
  assert.deepEqual([error, directory.names(), path], [null, [name], directory.at(name)]);
  await validateSnapshot(path);
});

test('the same where a copy has to get the name', async (t) => {
  if (!needsTool(t, 'strace')) return;
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, fill }) => new Promise((resolve) => {
    fill(20_000);
    heapdump.writeSnapshot(undefined, { name: 'ours' }, (error, name, { path }) => resolve({ error, name, path }));
  }), { cwd: directory.path });
  // Of each name the first call is for the open file, and the second for the copy of it.
  await injectInto(t, await snapshotChildOf(app), undefined, 'linkat:error=ENOENT:when=1+2');
  fs.writeFileSync(directory.at('ours.heapsnapshot'), 'taken meanwhile');
  const { error, name, path } = await app.result();
  assert.deepEqual([error, directory.names(), path], [null, [name, 'ours.heapsnapshot'], directory.at(name)]);
  await validateSnapshot(path);
});

test('a relative name is resolved when the call is made', async (t) => {
  const directory = makeTemporaryDirectory(t);
  for (const name of ['before', 'after']) fs.mkdirSync(directory.at(name));
  const app = startApp(t, async ({ promises }) => {
    process.chdir('before');
    const dumps = [promises.writeSnapshot('a'), promises.writeSnapshot('b'), promises.writeSnapshot()];
    process.chdir('../after');
    return (await Promise.all(dumps)).map(({ path }) => path);
  }, { cwd: directory.path });
  const paths = await app.result();
  assert.deepEqual(directory.names('after'), []);
  assert.deepEqual(paths.map((path) => path.split('/').at(-2)), ['before', 'before', 'before']);
  for (const path of paths) await validateSnapshot(path);
});

test('a directory that is moved, removed or replaced meanwhile: an error, or the file where it was asked for', async (t) => {
  for (const [how, via] of waysToMakeFiles(t)) {
    const directory = makeTemporaryDirectory(t);
    fs.mkdirSync(directory.at('d'));
    const app = startApp(t, ({ promises, fill, plain }) => {
      fill(50_000);
      return promises.writeSnapshot('d/a').catch(plain);
    }, { cwd: directory.path, via });
    await snapshotChildOf(app);
    fs.rmSync(directory.at('d'), { recursive: true });
    const { code, syscall, path } = await app.result();
    const last = how === 'without a name' ? 'link' : 'rename';
    assert.deepEqual([code, syscall, path], ['ENOENT', last, `${fs.realpathSync(directory.path)}/d/a`]);
    assert.deepEqual(directory.names(), []);
  }
});

test('a target that becomes a directory meanwhile is an error of rename, and nothing is left', async (t) => {
  for (const [, via] of waysToMakeFiles(t)) {
    const directory = makeTemporaryDirectory(t);
    const app = startApp(t, ({ promises, fill, plain }) => {
      fill(50_000);
      return promises.writeSnapshot('a').catch(plain);
    }, { cwd: directory.path, via });
    await snapshotChildOf(app);
    fs.mkdirSync(directory.at('a'));
    const { code, syscall } = await app.result();
    assert.deepEqual([code, syscall], ['EISDIR', 'rename']);
    assert.deepEqual(directory.names(), ['a']);
  }
});

test('the permission model is asked: a name outside of it is ERR_ACCESS_DENIED, one inside is written', async (t) => {
  if (NODE_MAJOR < 20) return t.diagnostic('not run: Node 18 has no permission model');
  const directory = makeTemporaryDirectory(t);
  for (const name of ['allowed', 'denied']) fs.mkdirSync(directory.at(name));
  const allowed = fs.realpathSync(directory.at('allowed'));
  const nodeOptions = [
    NODE_MAJOR < 22 ? '--experimental-permission' : '--permission', '--allow-addons',
    `--allow-fs-read=${ROOT}*`, '--allow-fs-read=/*', `--allow-fs-write=${allowed}/*`,
  ];
  const app = startApp(t, async ({ heapdump, promises, plain }) => {
    const outcomes = {};
    outcomes.denied = await promises.writeSnapshot('denied/a').catch(plain);
    outcomes.dots = await promises.writeSnapshot('allowed/../denied/a').catch(plain);
    outcomes.buffer = await promises.writeSnapshot(Buffer.from('denied/a')).catch(plain);
    outcomes.byDefault = await promises.writeSnapshot().catch(plain);
    outcomes.inline = await promises.writeSnapshot('denied/a', { mode: 'inline' }).catch(plain);
    heapdump.writeSnapshot('denied/a', (error) => (outcomes.callback = plain(error)));
    outcomes.allowed = await promises.writeSnapshot('allowed/a').catch(plain);
    return outcomes;
  }, { cwd: directory.path, nodeOptions });
  const { allowed: report, ...refused } = await app.result();
  for (const [way, error] of Object.entries(refused)) assert.equal(error.code, 'ERR_ACCESS_DENIED', way);
  assert.equal(report.path, `${allowed}/a`, JSON.stringify(report));
  assert.deepEqual([directory.names('allowed'), directory.names('denied')], [['a'], []]);
  await validateSnapshot(directory.at('allowed/a'));
});

test('the permission model is asked for a signal’s dump too', async (t) => {
  if (NODE_MAJOR < 20) return t.diagnostic('not run: Node 18 has no permission model');
  const directory = makeTemporaryDirectory(t);
  const nodeOptions = [NODE_MAJOR < 22 ? '--experimental-permission' : '--permission', '--allow-addons', '--allow-fs-read=/*'];
  const app = startApp(t, ({ heapdump, say, stayAlive }) => {
    stayAlive();
    say('ready', typeof heapdump);
  }, { cwd: directory.path, nodeOptions });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  await app.says(/SIGUSR2: no heap snapshot: Access .* restricted/, { on: 'stderr' });
  assert.deepEqual(directory.names(), []);
});

test('the permission model is asked before anything is armed at the heap limit', async (t) => {
  if (NODE_MAJOR < 20) return t.diagnostic('not run: Node 18 has no permission model');
  const directory = makeTemporaryDirectory(t);
  const permission = [NODE_MAJOR < 22 ? '--experimental-permission' : '--permission', '--allow-addons', '--allow-fs-read=/*'];
  const app = startApp(t, async ({ once }) => {
    require('../../lib/oom.js')({ path: 'evidence' });
    await once(process, 'warning');
    const kept = (globalThis.kept = []);
    for (;;) kept.push(new Array(1000).fill(kept.length + 0.5));
  }, { cwd: directory.path, nodeOptions: ['--max-old-space-size=32', ...permission] });
  const { stderr } = await app.ended();
  assert.match(stderr, /HeapdumpWarning: no heap snapshot will be taken at the heap limit: Access .* restricted/);
  assert.match(stderr, /JavaScript heap out of memory/);
  assert.deepEqual(directory.names(), []);
});

// name=: what files are called that have no name of their own, where pods, cluster workers and threads share a directory.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

import { startApp } from './support/app.mjs';
import { runCommand } from './support/command.mjs';
import { readSidecar } from './support/evidence.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { snapshotChild, waitFor } from './support/processes.mjs';
import { validateSnapshot } from '../harness/validate.mjs';

const HOST = os.hostname();

const idle = ({ heapdump, say, stayAlive, args }) => {
  stayAlive();
  if (args.title) process.title = args.title;
  say('ready', typeof heapdump);
};

async function startIdle(t, directory, NODE_HEAPDUMP_OPTIONS, args) {
  const app = startApp(t, idle, { cwd: directory.path, env: { NODE_HEAPDUMP_OPTIONS }, args });
  await app.says(/ready/);
  return app;
}

/** The names in a directory when there are `count` and nobody writes. */
const written = (apps, directory, count) =>
  waitFor(`${count} files`, () => {
    const names = directory.names();
    const isDone = names.length >= count && names.every((name) => !name.startsWith('.'));
    return isDone && apps.every((app) => !snapshotChild(app.pid)) && names;
  });

test('a signal’s dump tells what the pattern asks for; title and host are made safe', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = await startIdle(t, directory, 'name={host}+{pid}+{thread}+{time}+{reason}+{title},gzip', { title: 'api: GET /x' });
  app.kill('SIGUSR2');
  const [name] = await written([app], directory, 1);
  const [host, pid, thread, time, reason, title] = name.split('+');
  assert.deepEqual([host, Number(pid), thread, reason, title], [HOST, app.pid, '0', 'signal', 'api__GET__x.heapsnapshot.gz']);
  const [, y, m, d, h, min, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)\d{3}Z$/.exec(time);
  assert.ok(Math.abs(Date.UTC(y, m - 1, d, h, min, s) - Date.now()) < 600_000, time);
  await validateSnapshot(directory.at(name));
});

test('workers: each thread’s dump has its number', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, worker, once, say, stayAlive }) => {
    stayAlive();
    const load = ({ heapdump, stayAlive }) => {
      stayAlive();
      require('node:worker_threads').parentPort.postMessage(typeof heapdump);
    };
    await once(worker(load), 'message');
    say('ready', typeof heapdump);
  }, { cwd: directory.path, env: { NODE_HEAPDUMP_OPTIONS: 'workers,name=thread-{thread}' } });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  assert.deepEqual(await written([app], directory, 2), ['thread-0.heapsnapshot', 'thread-1.heapsnapshot']);
});

test('equal names are numbered, over several processes at once; nothing is written over', async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.writeFileSync(directory.at('app.heapsnapshot'), 'of somebody else');
  const apps = await Promise.all([1, 2, 3].map(() => startIdle(t, directory, 'name=app.heapsnapshot')));
  for (const app of apps) app.kill('SIGUSR2');
  const names = await written(apps, directory, 4);
  assert.deepEqual(names, ['app-2.heapsnapshot', 'app-3.heapsnapshot', 'app-4.heapsnapshot', 'app.heapsnapshot']);
  assert.equal(fs.readFileSync(directory.at('app.heapsnapshot'), 'utf8'), 'of somebody else');
  for (const name of names.slice(0, 3)) await validateSnapshot(directory.at(name));
});

test('writeSnapshot() without a filename: the option, the environment, the default', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, promises, plain }) => {
    const path = require('node:path');
    const given = await new Promise((resolve) => heapdump.writeSnapshot({ name: 'o-{reason}-{thread}' }, (error, name) => resolve(name)));
    const names = [given, path.basename((await promises.writeSnapshot()).path), heapdump.writeSnapshotSync().path.split('/').at(-1)];
    const refused = [];
    for (const call of [['a', { name: 'b' }], [{ name: '{hots}' }], [{ name: 5 }], [{ name: '../a' }]]) {
      refused.push(await promises.writeSnapshot(...call).catch(plain));
    }
    return { names, refused };
  }, { cwd: directory.path, env: { NODE_HEAPDUMP_OPTIONS: 'name=e-{reason}' } });
  const { names, refused } = await app.result();
  assert.deepEqual(names, ['o-call-0.heapsnapshot', 'e-call.heapsnapshot', 'e-call-2.heapsnapshot']);
  assert.deepEqual(directory.names(), [...names].sort());
  assert.deepEqual(refused.map(({ code }) => code), [
    'ERR_INVALID_ARG_VALUE', 'ERR_INVALID_ARG_VALUE', 'ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_VALUE',
  ]);
  assert.match(refused[0].message, /"name" option must be absent where there is a filename/);
  assert.match(refused[1].message, /\{pid\} \{host\} \{thread\} \{time\} \{reason\} \{title\}/);
  assert.match(refused[3].message, /no slash/);
});

test('a pattern in the environment that means nothing is a line that says what is allowed, and the default holds', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = await startIdle(t, directory, 'name={hots}');
  await app.says(/^node-heapdump: unrecognized option: name=\{hots\} \(.*\{pid\} \{host\}.*\)$/m, { on: 'stderr' });
  app.kill('SIGUSR2');
  const [name] = await written([app], directory, 1);
  assert.match(name, /^heapdump-\d+\.\d+\.heapsnapshot$/);
});

test('node-snapshot --pid takes a dump whatever its name', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = await startIdle(t, directory, 'name={title}');
  const out = makeTemporaryDirectory(t);
  const { code, stderr } = await runCommand(t, ['node-snapshot', '--pid', app.pid, '--output', out.at('a.heapsnapshot')]);
  assert.equal(code, 0, stderr);
  await validateSnapshot(out.at('a.heapsnapshot'));
  assert.deepEqual(directory.names(), []);
});

/** The first `snapshot` or `skipped` event of a monitor whose limit is passed from the beginning. */
const first = async ({ args, once }) => {
  const watching = require('../../lib/monitor.js').monitor({ rss: 1, interval: 10, ...args.options });
  const timer = setInterval(() => {}, 1000);
  const event = await Promise.race([once(watching, 'snapshot'), once(watching, 'skipped'), once(watching, 'error')]);
  watching.stop();
  clearInterval(timer);
  return { path: event.report?.path, sidecar: event.sidecar, why: event.why, message: event.message };
};

const startFirst = (t, directory, options, env) =>
  startApp(t, first, { cwd: directory.path, env, args: { options: { dir: directory.path, ...options } } });

test('a monitor knows its own under any name: cooldown, retention, strangers stay', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const strangers = ['pod-1.heapsnapshot', 'pod-1.json', 'pod-x.heapsnapshot', 'heap-rss-5.heapsnapshot', 'notes.json'];
  for (const name of strangers) fs.writeFileSync(directory.at(name), name.endsWith('.json') ? '{}' : 'of somebody else');
  const name = 'pod-{reason}-{pid}';
  const taken = await startFirst(t, directory, { name }).result();
  assert.match(path.basename(taken.path), /^pod-rss-\d+\.heapsnapshot$/);
  assert.equal(taken.sidecar, taken.path.replace('.heapsnapshot', '.json'));
  const said = readSidecar(taken.sidecar);
  assert.deepEqual([said.name, said.reason, said.complete, said.snapshot], [name, 'rss', true, path.basename(taken.path)]);
  await validateSnapshot(taken.path);

  assert.equal((await startFirst(t, directory, { name }).result()).why, 'cooldown');
  assert.ok((await startFirst(t, directory, { name: 'other-{pid}' }).result()).path, 'of another pattern');
  const next = await startFirst(t, directory, { name, cooldown: 0, max: 1 }, { NODE_HEAPDUMP_OPTIONS: 'name=unused' }).result();
  const left = directory.names();
  assert.ok(!left.includes(path.basename(taken.path)) && left.includes(path.basename(next.path)), left.join());
  for (const stranger of strangers) assert.ok(left.includes(stranger), stranger);
  assert.equal(left.filter((each) => each.startsWith('other-')).length, 2);
});

test('a monitor with a literal name writes over nothing: its own files, and those without a JSON', async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.writeFileSync(directory.at('pod.heapsnapshot'), 'of somebody else');
  for (const number of [2, 3]) {
    const { path: file } = await startFirst(t, directory, { cooldown: 0 }, { NODE_HEAPDUMP_OPTIONS: 'name=pod' }).result();
    assert.equal(path.basename(file), `pod-${number}.heapsnapshot`);
  }
  assert.equal(fs.readFileSync(directory.at('pod.heapsnapshot'), 'utf8'), 'of somebody else');
});

test('a monitor’s wrong pattern is thrown at once', async (t) => {
  const app = startApp(t, ({ plain }) => {
    try {
      require('../../lib/monitor.js').monitor({ name: '{x}' });
    } catch (error) {
      return plain(error);
    }
  });
  const { name, code, message } = await app.result();
  assert.deepEqual([name, code], ['TypeError', 'ERR_INVALID_ARG_VALUE']);
  assert.match(message, /between braces there may be \{pid\}/);
});

test("V8's limit: monitor and oom, twice under one literal name", async (t) => {
  const directory = makeTemporaryDirectory(t);
  const leak = ({ args }) => {
    if (args.monitor) require('../../lib/monitor.js').monitor({ dir: '.', oom: 'exit', cooldown: 0, name: 'at-limit' });
    else require('../../lib/oom.js')({ path: 'drop-in-{reason}' });
    const kept = (globalThis.kept = []);
    for (;;) kept.push(new Array(1000).fill(kept.length + 0.5));
  };
  for (const monitor of [true, true, false, false]) {
    const app = startApp(t, leak, { cwd: directory.path, args: { monitor }, nodeOptions: ['--max-old-space-size=16'] });
    assert.equal((await app.ended()).code, 1);
  }
  const names = directory.names();
  const snapshots = names.filter((name) => name.endsWith('.heapsnapshot'));
  assert.deepEqual(snapshots, ['at-limit-2.heapsnapshot', 'at-limit.heapsnapshot', 'drop-in-oom-2.heapsnapshot', 'drop-in-oom.heapsnapshot']);
  assert.deepEqual(names.filter((name) => !snapshots.includes(name)), [
    'at-limit-2.json', 'at-limit.json', 'drop-in-oom-2.heapsnapshot.json', 'drop-in-oom.heapsnapshot.json',
  ]);
  for (const name of snapshots) await validateSnapshot(directory.at(name));
});

test('what was left under a pattern is exported by the next process, once: monitor and oom', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const out = makeTemporaryDirectory(t);
  const program = async ({ args, say, stayAlive }) => {
    const { FileExporter } = require('../../lib/exporters.js');
    const exporter = new FileExporter({ directory: args.out });
    if (args.monitor) {
      require('../../lib/monitor.js').monitor({ dir: '.', oom: 'exit', cooldown: 0, name: 'm-{host}-{pid}', exporter })
        .on('exported', ({ snapshot }) => say('exported', snapshot));
    } else {
      require('../../lib/oom.js')({ path: 'o-{host}-{pid}', exporter });
    }
    stayAlive();
    const kept = (globalThis.kept = []);
    while (args.leaks) kept.push(new Array(1000).fill(kept.length + 0.5));
  };
  const start = (args) => startApp(t, program, { cwd: directory.path, args: { out: out.path, ...args }, nodeOptions: ['--max-old-space-size=16'] });
  // The pattern fits it too: a signal's dump for instance, of a process that has ended.
  const others = [`m-${HOST}-9999999.heapsnapshot`, `o-${HOST}-9999999.heapsnapshot`];
  for (const name of others) fs.writeFileSync(directory.at(name), 'somebody else’s');
  for (const [monitor, on, line] of [[true, 'stdout', /^exported .*\/m-.*\.heapsnapshot$/m], [false, 'stderr', /'.*\/o-.*' is now at/]]) {
    const dying = start({ monitor, leaks: true });
    assert.equal((await dying.ended()).code, 1);
    await start({ monitor }).says(line, { on });
    const [name] = out.names().filter((each) => each.startsWith(`${monitor ? 'm' : 'o'}-${HOST}-${dying.pid}`));
    await validateSnapshot(out.at(name));
  }
  for (const name of others) assert.ok(fs.existsSync(directory.at(name)) && !out.names().some((each) => each.startsWith(name.slice(0, -13))), name);
});

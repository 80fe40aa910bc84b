// SIGUSR2: who answers, how often, and next to whom. What NODE_HEAPDUMP_OPTIONS adds is in signal-options.test.mjs.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { startApp } from './support/app.mjs';
import { isSnapshotName, makeTemporaryDirectory } from './support/files.mjs';
import { childrenOf, goneAfter, snapshotChild, snapshotChildOf, waitFor } from './support/processes.mjs';
import { accepted, nextRequest, wholeSnapshots as snapshots } from './support/signals.mjs';

const idle = ({ heapdump, say, stayAlive }) => {
  stayAlive();
  say('ready', typeof heapdump);
};

async function startIdle(t, directory, options) {
  const app = startApp(t, idle, { cwd: directory.path, ...options });
  await app.says(/ready/);
  return app;
}

test('a process stuck in while (true) answers', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, say }) => {
    say('ready', typeof heapdump);
    while (true);
  }, { cwd: directory.path });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  await snapshots(app, directory, 1);
  await nextRequest();
  app.kill('SIGUSR2');
  await snapshots(app, directory, 2);
  assert.ok(!app.hasEnded);
});

test('a process stuck in a loop that allocates answers', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, say }) => {
    say('ready', typeof heapdump);
    const ring = [];
    for (let i = 0; ; i++) ring[i % 50_000] = { i, text: `text ${i}`, more: new Array(8).fill(i) };
  }, { cwd: directory.path });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  await snapshots(app, directory, 1);
  await nextRequest();
  app.kill('SIGUSR2');
  await snapshots(app, directory, 2);
  assert.ok(!app.hasEnded);
});

test('signals within a second are one request', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = await startIdle(t, directory);
  app.kill('SIGUSR2');
  // The kernel keeps one pending signal of a kind: the second counts once the first was taken.
  await waitFor('the first was accepted', () => accepted(app) > 0);
  app.kill('SIGUSR2');
  // Of those that came too soon nothing is left that a later one would meet.
  await snapshots(app, directory, 1);
  await nextRequest();
  app.kill('SIGUSR2');
  await snapshots(app, directory, 2);
});

test('a signal a second after another gives a second file, also while the first is written', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, fill, say, stayAlive }) => {
    fill(20_000);
    stayAlive();
    say('ready', typeof heapdump);
  }, { cwd: directory.path });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  const child = await snapshotChildOf(app);
  process.kill(child.pid, 'SIGSTOP');
  await nextRequest();
  app.kill('SIGUSR2');
  await waitFor('the second was accepted', () => accepted(app) === 2);
  process.kill(child.pid, 'SIGCONT');
  await snapshots(app, directory, 2);
});

test('a burst of 1,000 signals gives a bounded number of dumps and the event loop goes on', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, fill, say, stayAlive }) => {
    fill(20_000);
    stayAlive();
    let turns = 0;
    setInterval(() => turns++, 1);
    process.on('SIGHUP', () => say('turns', turns));
    say('ready', typeof heapdump);
  }, { cwd: directory.path });
  await app.says(/ready/);
  let most = 0;
  for (let i = 0; i < 1000; i++) {
    app.kill('SIGUSR2');
    if (i % 50 === 0) {
      most = Math.max(most, childrenOf(app.pid).length);
      await new Promise(setImmediate);
    }
  }
  app.kill('SIGHUP');
  const during = Number((await app.says(/turns (\d+)/))[1]);
  await waitFor('all dumps are done', () => {
    most = Math.max(most, childrenOf(app.pid).length);
    return directory.names().length >= 1 && directory.names().every(isSnapshotName) && !snapshotChild(app.pid);
  });
  app.kill('SIGHUP');
  await app.says(new RegExp(`turns (?!${during}\n)\\d+\n`));
  const names = directory.names();
  assert.ok(names.length >= 1 && names.length <= 50, `${names.length} files of 1,000 signals`);
  assert.ok(most <= 1, `${most} children at once`);
  for (const name of names) await validateSnapshot(directory.at(name));

  // Nothing is stuck: the next signal is answered as the first was.
  await nextRequest();
  app.kill('SIGUSR2');
  await snapshots(app, directory, names.length + 1);
});

test('a burst of signals at a process stuck in a loop gives a bounded number of dumps', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, say }) => {
    say('ready', typeof heapdump);
    while (true);
  }, { cwd: directory.path });
  await app.says(/ready/);
  for (let i = 0; i < 300; i++) app.kill('SIGUSR2');
  const names = await waitFor('all dumps are done', () => {
    const found = directory.names();
    return found.length > 0 && found.every(isSnapshotName) && !snapshotChild(app.pid) && found;
  });
  assert.ok(names.length <= 20, `${names.length} files of 300 signals`);
  await nextRequest();
  app.kill('SIGUSR2');
  await snapshots(app, directory, names.length + 1);
});

test('JavaScript listeners, earlier and later ones, hear every signal beside ours', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, (tools) => {
    process.on('SIGUSR2', () => tools.say('earlier'));
    tools.say(typeof tools.heapdump);
    process.on('SIGUSR2', () => tools.say('later'));
    tools.stayAlive();
    tools.say('ready', process.listenerCount('SIGUSR2'));
  }, { cwd: directory.path });
  await app.says(/ready 2/);
  app.kill('SIGUSR2');
  await app.says(/earlier\nlater/);
  await snapshots(app, directory, 1);
});

test('it still answers after a JavaScript listener came and went', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, say, stayAlive, once }) => {
    stayAlive();
    say(typeof heapdump);
    for (let i = 0; i < 3; i++) {
      const listener = () => {};
      process.on('SIGUSR2', listener);
      await new Promise(setImmediate);
      process.off('SIGUSR2', listener);
      await new Promise(setImmediate);
    }
    const heard = once(process, 'SIGUSR2');
    say('ready');
    await heard;
    say('heard', process.listenerCount('SIGUSR2'));
  }, { cwd: directory.path });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  await app.says(/heard 0/);
  await snapshots(app, directory, 1);
  await nextRequest();
  app.kill('SIGUSR2');
  await snapshots(app, directory, 2);
});

test('who ends the process unless somebody else listens sees that somebody does, before us or after us', async (t) => {
  // As signal-exit counts; test:neighbours has the real one.
  const body = ({ args, say, stayAlive, ...tools }) => {
    const load = [() => say(typeof tools.heapdump), () => {
      const emitter = (process.__signal_exit_emitter__ = { count: 1 });
      process.on('SIGUSR2', function listener() {
        if (process.listeners('SIGUSR2').length !== emitter.count) return;
        process.removeListener('SIGUSR2', listener);
        say('exit hooks');
        process.kill(process.pid, 'SIGUSR2');
      });
    }];
    if (args.before) load.reverse();
    for (const step of load) step();
    stayAlive();
    say('ready', process.listenerCount('SIGUSR2'), process.eventNames().includes('SIGUSR2'));
  };
  for (const before of [true, false]) {
    const directory = makeTemporaryDirectory(t);
    const app = startApp(t, body, { cwd: directory.path, args: { before } });
    await app.says(/ready 2/);
    app.kill('SIGUSR2');
    await snapshots(app, directory, 1);
    assert.doesNotMatch(app.stdout, /exit hooks/);
  }
});

test('an application that removes all listeners is still answered', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, say, stayAlive }) => {
    stayAlive();
    process.__signal_exit_emitter__ = {};
    process.once('SIGUSR2', () => say('once'));
    process.removeAllListeners('SIGUSR2');
    process.once('SIGUSR2', () => say('once', process.listenerCount('SIGUSR2'), typeof heapdump));
    say('ready', typeof heapdump);
  }, { cwd: directory.path });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  await app.says(/once [01] object/);
  await snapshots(app, directory, 1);
});

test('under --heapsnapshot-signal=SIGUSR2 one signal gives one file', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = await startIdle(t, directory, { nodeOptions: ['--heapsnapshot-signal=SIGUSR2'] });
  app.kill('SIGUSR2');
  await snapshots(app, directory, 1);
});

test('under --heapsnapshot-signal of another signal both answer', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = await startIdle(t, directory, { nodeOptions: ['--heapsnapshot-signal=SIGHUP'] });
  app.kill('SIGUSR2');
  await snapshots(app, directory, 1);
  app.kill('SIGHUP');
  await waitFor("Node's own", () => directory.names().some((name) => name.startsWith('Heap.')));
});

test('no subpath installs the signal, the main entry does so later', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const start = (loads) => startApp(t, async ({ args, say, stayAlive }) => {
    stayAlive();
    for (const name of args.loads) require(name);
    say('ready');
  }, { cwd: directory.path, args: { loads } });

  const { exports } = JSON.parse(fs.readFileSync(new URL('../package.json', import.meta.url)));
  const own = Object.entries(exports)
    .filter(([name, target]) => name !== '.' && (target.default ?? target).endsWith('.js'))
    .map(([, target]) => `../../${target.default ?? target}`);
  assert.ok(own.length > 0);
  const without = start(own);
  await without.says(/ready/);
  without.kill('SIGUSR2');
  assert.equal((await without.ended()).signal, 'SIGUSR2');
  assert.deepEqual(directory.names(), []);

  const withMain = start([...own, '../..']);
  await withMain.says(/ready/);
  withMain.kill('SIGUSR2');
  await snapshots(withMain, directory, 1);
});

test('a process that inherited the signal as ignored answers', async (t) => {
  const directory = makeTemporaryDirectory(t);
  // As nohup does for SIGHUP: the disposition is inherited as "ignore".
  const app = await startIdle(t, directory, { via: ['sh', '-c', 'trap "" USR2; exec "$@"', 'sh'] });
  app.kill('SIGUSR2');
  await snapshots(app, directory, 1);
});

test('a signal’s dump keeps neither the process alive nor its exit code', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, fill, say }) => {
    fill(40_000);
    const { once } = require('node:events');
    say('ready', typeof heapdump);
    await once(process.stdin, 'data');
    process.stdin.destroy();
    process.exitCode = 3;
  }, { cwd: directory.path, spawn: { stdio: ['pipe', 'pipe', 'pipe'] } });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  const child = await snapshotChildOf(app);
  app.writeInput('end');
  assert.equal((await app.ended()).code, 3);
  await goneAfter(child);
  const [name, ...more] = directory.names();
  assert.deepEqual(more, []);
  await validateSnapshot(directory.at(name));
});

test('signals from the process to itself count as well', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, stayAlive }) => {
    stayAlive();
    typeof heapdump;
    process.kill(process.pid, 'SIGUSR2');
  }, { cwd: directory.path });
  await snapshots(app, directory, 1);
});

test('a failing dump is a line, and the process goes on', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, say, stayAlive }) => {
    stayAlive();
    process.chdir('gone');
    require('node:fs').rmdirSync('../gone');
    require('node:diagnostics_channel').subscribe('heapdump-rs:snapshot', ({ type, error, signal }) => say(type, error.code, signal));
    say('ready', typeof heapdump);
  }, { cwd: (fs.mkdirSync(directory.at('gone')), directory.path) });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  await app.says(/SIGUSR2: no heap snapshot: .*No such file/, { on: 'stderr' });
  await app.says(/error ENOENT SIGUSR2/);
  assert.ok(!app.hasEnded);
});

test('the end of a signal’s dump is published', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump, say, stayAlive }) => {
    stayAlive();
    require('node:diagnostics_channel').subscribe('heapdump-rs:snapshot', ({ type, report, signal }) => {
      if (type === 'end') say('end', signal, report.mode, report.path);
    });
    say('ready', typeof heapdump);
  }, { cwd: directory.path });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  const [, path] = await app.says(/end SIGUSR2 fork (.*)/);
  assert.deepEqual(directory.names().map((name) => `${fs.realpathSync(directory.path)}/${name}`), [path]);
});

test('it answers where V8 has no worker thread to park', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = await startIdle(t, directory, { nodeOptions: ['--v8-pool-size=0'] });
  app.kill('SIGUSR2');
  await snapshots(app, directory, 1);
});

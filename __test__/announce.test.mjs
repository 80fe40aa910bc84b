// What standard error says of dumps that nobody awaits, and that saying it holds nobody up.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { test } from 'node:test';

import { startApp } from './support/app.mjs';
import { atEndOf, isSnapshotName, makeTemporaryDirectory } from './support/files.mjs';
import { waitFor } from './support/processes.mjs';
import { nextRequest, wholeSnapshots } from './support/signals.mjs';

const ANNOUNCE = { NODE_HEAPDUMP_OPTIONS: 'announce' };

const idle = ({ heapdump, args, fill, say, stayAlive }) => {
  fill(args.objects ?? 0);
  stayAlive();
  say('ready', typeof heapdump);
};

const stuck = ({ heapdump, say }) => {
  say('ready', typeof heapdump);
  while (true);
};

async function start(t, body, options) {
  const app = startApp(t, body, options);
  await app.says(/ready/);
  return app;
}

for (const [what, body] of [['an idle process', idle], ['a process stuck in JavaScript', stuck]]) {
  test(`announce: ${what} says when a dump begins, how large about, and when it is complete`, async (t) => {
    const directory = makeTemporaryDirectory(t);
    const app = await start(t, body, { cwd: directory.path, env: ANNOUNCE });
    app.kill('SIGUSR2');
    await app.says(/complete/, { on: 'stderr' });
    const [name] = await wholeSnapshots(app, directory, 1);
    const file = `${fs.realpathSync(directory.path)}/${name}`;
    const [begin, end, ...more] = app.stderr.trimEnd().split('\n');
    const [, path, megabytes] = /^heapdump-rs: SIGUSR2: writing (.*), about (\d+) MB$/.exec(begin);
    assert.equal(path, file);
    const ratio = (megabytes * 1e6) / fs.statSync(file).size;
    assert.ok(ratio > 0.3 && ratio < 3, `${megabytes} MB were announced, ${ratio} times the file`);
    assert.match(end, new RegExp(`^heapdump-rs: SIGUSR2: ${RegExp.escape?.(file) ?? file} is complete; the event loop stood still for \\d+ ms$`));
    assert.deepEqual(more, []);
  });

  test(`${what} says once why a dump failed, without announce, whether warnings are off or on`, async (t) => {
    for (const NODE_NO_WARNINGS of ['1', '0']) {
      const env = { NODE_NO_WARNINGS, NODE_HEAPDUMP_OPTIONS: 'dir=/does/not/exist' };
      const app = await start(t, body, { env });
      app.kill('SIGUSR2');
      await app.says(/no heap snapshot/, { on: 'stderr' });
      await nextRequest();
      app.kill('SIGUSR2');
      await app.says(/no heap snapshot[^]*no heap snapshot/, { on: 'stderr' });
      const line = /heapdump-rs: SIGUSR2: no heap snapshot: heapdump write error: open \/does\/not\/exist.*: No such file .*\n/.source;
      assert.match(app.stderr, new RegExp(`^${line}${line}$`));
    }
  });
}

test('without announce a dump that succeeds says nothing', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = await start(t, idle, { cwd: directory.path });
  app.kill('SIGUSR2');
  await wholeSnapshots(app, directory, 1);
  assert.equal(app.stderr, '');
});

/** A named pipe, and the end of it that an application gets; `keep` holds the other one open. */
function makePipe(t) {
  const path = makeTemporaryDirectory(t).at('pipe');
  execFileSync('mkfifo', [path]);
  const keep = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
  return { keep, end: fs.openSync(path, 'w') };
}

/** Runs a dump with `end` as standard error, and then the application's event loop once more. */
async function dumps(t, body, end) {
  const directory = makeTemporaryDirectory(t);
  const options = { cwd: directory.path, env: ANNOUNCE, spawn: { stdio: ['ignore', 'pipe', end] } };
  const app = await start(t, body, options);
  app.kill('SIGUSR2');
  await waitFor('the snapshot', () => directory.names().some(isSnapshotName));
  app.kill('SIGHUP');
  await app.says(/alive/);
  assert.ok(!app.hasEnded);
}

const answering = ({ heapdump, say, stayAlive }) => {
  stayAlive();
  process.on('SIGHUP', () => say('alive'));
  say('ready', typeof heapdump);
};

test('a pipe that is full and that nobody reads holds up neither the dump nor the application', async (t) => {
  const { keep, end } = makePipe(t);
  atEndOf(t, () => [keep, end].forEach((descriptor) => fs.closeSync(descriptor)));
  for (const block of [4096, 1]) assert.throws(() => { while (true) fs.writeSync(keep, Buffer.alloc(block)); }, { code: 'EAGAIN' });
  await dumps(t, answering, end);
});

test('a pipe whose reader has gone ends no application, not even one with SIGPIPE as it was', async (t) => {
  const { keep, end } = makePipe(t);
  fs.closeSync(keep);
  atEndOf(t, () => fs.closeSync(end));
  await dumps(t, ({ heapdump, say, stayAlive }) => {
    stayAlive();
    process.on('SIGPIPE', () => {}).removeAllListeners('SIGPIPE');
    process.on('SIGHUP', () => say('alive'));
    say('ready', typeof heapdump);
  }, end);
});

test('a standard error that is closed', async (t) => {
  await dumps(t, ({ heapdump, say, stayAlive }) => {
    stayAlive();
    require('node:fs').closeSync(2);
    process.on('SIGHUP', () => say('alive'));
    say('ready', typeof heapdump);
  }, 'ignore');
});

test('in a file the lines follow what the application says', async (t) => {
  const file = makeTemporaryDirectory(t).at('log');
  const descriptor = fs.openSync(file, 'w');
  await dumps(t, ({ heapdump, say, stayAlive }) => {
    stayAlive();
    process.stderr.write('first line\n');
    process.on('SIGHUP', () => say('alive'));
    say('ready', typeof heapdump);
  }, descriptor);
  fs.closeSync(descriptor);
  await waitFor('both lines', () =>
    /^first line\nheapdump-rs: SIGUSR2: writing .*\nheapdump-rs: SIGUSR2: .* is complete; .*\n$/.test(fs.readFileSync(file, 'utf8')));
});

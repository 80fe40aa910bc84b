// Processes that are killed while they write, child and parent: nothing is left, or the next start removes it; and nobody
// removes what a living process writes.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { isBeingWritten } from '../harness/writers.mjs';
import { startApp } from './support/app.mjs';
import { injectInto, needingNames, needsTool, waysToMakeFiles } from './support/faults.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { goneAfter, outputOf, signalChild, snapshotChildOf, waitFor } from './support/processes.mjs';

/** A dump that takes a while, into `args.name` or under a default name. */
const dump = ({ heapdump, fill, args, stayAlive }) => {
  stayAlive();
  fill(args.count ?? 60_000);
  if (args.name === undefined) heapdump.writeSnapshot();
  else heapdump.writeSnapshot(args.name);
};

/** Waits until its child has written something. */
async function writes(child, directory) {
  const file = outputOf(child, directory);
  await waitFor('something is written', () => {
    const links = fs.readdirSync(`/proc/${child.pid}/fd`).map((number) => `/proc/${child.pid}/fd/${number}`);
    return links.some((link) => fs.readlinkSync(link).startsWith(file) && fs.statSync(link).size > 0);
  });
}

async function killBoth(app, child) {
  app.kill('SIGKILL');
  signalChild(child, 'SIGKILL');
  await Promise.all([app.exited(), goneAfter(child)]);
}

/** A process that dumps into the same directory and ends; it has had the time to look for leftovers. */
const dumpAgain = (t, directory, options) =>
  startApp(t, ({ promises }) => promises.writeSnapshot('again'), { cwd: directory.path, ...options }).result();

for (const moment of ['as V8 works', 'as it writes']) {
  test(`killed ${moment}: nothing is left, or the next start removes it`, async (t) => {
    for (const [how, via] of waysToMakeFiles(t)) {
      for (const name of ['a', undefined]) {
        const directory = makeTemporaryDirectory(t);
        if (name) fs.writeFileSync(directory.at(name), 'the old file');
        const app = startApp(t, dump, { cwd: directory.path, args: { name }, via });
        const child = await snapshotChildOf(app);
        if (moment === 'as it writes') await writes(child, directory);
        await killBoth(app, child);
        const old = name ? [name] : [];
        if (how === 'without a name') assert.deepEqual(directory.names(), old);
        else assert.equal(directory.names().length, old.length + 1, directory.names().join());
        await dumpAgain(t, directory, { via });
        assert.deepEqual(directory.names(), [...old, 'again']);
        if (name) assert.equal(fs.readFileSync(directory.at(name), 'utf8'), 'the old file');
      }
    }
  });
}

test('killed between the link and the rename: the old file stays; the parent, or the next start, removes the other name', async (t) => {
  if (!needsTool(t, 'strace')) return;
  for (const parent of ['lives', 'is killed']) {
    const directory = makeTemporaryDirectory(t);
    fs.writeFileSync(directory.at('a'), 'the old file');
    const app = startApp(t, dump, { cwd: directory.path, args: { name: 'a', count: 20_000 } });
    const child = await snapshotChildOf(app);
    const calls = ['rename', 'renameat', 'renameat2'].map((call) => `${call}:error=EIO:signal=SIGKILL`);
    await injectInto(t, child, undefined, ...calls);
    if (parent === 'is killed') {
      app.kill('SIGKILL');
      await app.exited();
    }
    await goneAfter(child);
    if (parent === 'lives') await waitFor('its name is gone', () => directory.names().length === 1);
    else assert.match(directory.names().join(), /^\.a\.heapdump-\d+-\d+\.tmp,a$/);
    await dumpAgain(t, directory);
    assert.deepEqual(directory.names(), ['a', 'again']);
    assert.equal(fs.readFileSync(directory.at('a'), 'utf8'), 'the old file');
  }
});

test('killed after the file has its name: it is whole', async (t) => {
  if (!needsTool(t, 'strace')) return;
  for (const [, via] of waysToMakeFiles(t)) {
    const directory = makeTemporaryDirectory(t);
    const app = startApp(t, dump, { cwd: directory.path, args: { name: 'a', count: 20_000 }, via });
    const child = await snapshotChildOf(app);
    // The second one is the directory's.
    await injectInto(t, child, undefined, 'fsync:error=EIO:signal=SIGKILL:when=2');
    app.kill('SIGKILL');
    await Promise.all([app.exited(), goneAfter(child)]);
    assert.deepEqual(directory.names(), ['a']);
    await validateSnapshot(directory.at('a'));
  }
});

test('of two processes with one directory the living one keeps its file, whoever cleans up', async (t) => {
  const via = needingNames(t);
  if (via === undefined) return;
  const directory = makeTemporaryDirectory(t);
  const apps = ['killed', 'living', 'orphaned'].map((name) => startApp(t, dump, { cwd: directory.path, args: { name }, via }));
  const children = await Promise.all(apps.map(snapshotChildOf));
  const [killed, living, orphaned] = apps;
  // A child that stands still holds its file too, and without its parent nobody replaces it.
  signalChild(children[2], 'SIGSTOP');
  orphaned.kill('SIGKILL');
  await orphaned.exited();
  await killBoth(killed, children[0]);
  await dumpAgain(t, directory, { via });
  assert.ok(!directory.names().some((name) => name.startsWith('.killed.')), directory.names().join());
  assert.ok(directory.names().some((name) => name.startsWith('.orphaned.')), directory.names().join());
  signalChild(children[2], 'SIGCONT');
  await waitFor('nobody writes any more', () => !isBeingWritten(directory.path));
  assert.deepEqual(directory.names(), ['again', 'living', 'orphaned']);
  for (const name of directory.names()) await validateSnapshot(directory.at(name));
  assert.ok(!living.hasEnded);
});

test('where locks tell nothing it stays until nobody has written to it for a day', async (t) => {
  if (!needsTool(t, 'strace')) return;
  const directory = makeTemporaryDirectory(t);
  const hoursAgo = (hours) => Date.now() / 1000 - hours * 3600;
  for (const hours of [23, 25]) {
    const file = directory.at(`.${hours}.heapdump-1-1.tmp`);
    fs.writeFileSync(file, '');
    fs.utimesSync(file, hoursAgo(hours), hoursAgo(hours));
  }
  // A file system of which nothing is known.
  const via = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=fstatfs', '-e', 'inject=fstatfs:error=ENOSYS'];
  await dumpAgain(t, directory, { via });
  assert.deepEqual(directory.names(), ['.23.heapdump-1-1.tmp', 'again']);
});

test("what others call theirs stays: a stranger's name, a link, a directory, another user's file", async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.writeFileSync(directory.at('.a.tmp'), '');
  fs.writeFileSync(directory.at('precious'), '');
  fs.symlinkSync('precious', directory.at('.link.heapdump-1-1.tmp'));
  fs.mkdirSync(directory.at('.directory.heapdump-1-1.tmp'));
  const stay = directory.names();
  if (process.getuid() === 0) {
    fs.writeFileSync(directory.at('.theirs.heapdump-1-1.tmp'), '');
    fs.chownSync(directory.at('.theirs.heapdump-1-1.tmp'), 65534, 65534);
    stay.push('.theirs.heapdump-1-1.tmp');
  }
  fs.writeFileSync(directory.at('.ours.heapdump-1-1.tmp'), '');
  await dumpAgain(t, directory);
  assert.deepEqual(directory.names(), [...stay, 'again'].sort());
});

test('a monitor: what was killed in mid-dump goes at the next start, and JSON without a snapshot has a limit', async (t) => {
  for (const [how, via] of waysToMakeFiles(t)) {
    const directory = makeTemporaryDirectory(t);
    for (let time = 1; time <= 8; time++) fs.writeFileSync(directory.at(`heap-rss-${time}.json`), '{}');
    const watch = ({ args, fill, stayAlive }) => {
      stayAlive();
      fill(args.count);
      require('../../lib/monitor.js').monitor({ dir: args.dir, max: 2, ...args.options });
    };
    const dir = directory.path;
    const app = startApp(t, watch, { args: { dir, count: 60_000, options: { rss: 1, interval: 10 } }, via });
    const child = await snapshotChildOf(app);
    await writes(child, directory);
    await killBoth(app, child);
    const [sidecar] = directory.names().filter((name) => /^heap-rss-\d{13}\.json$/.test(name));
    assert.equal(JSON.parse(fs.readFileSync(directory.at(sidecar), 'utf8')).complete, null);
    assert.equal(directory.names().some((name) => name.endsWith('.tmp')), how !== 'without a name');
    // It takes none: it only starts.
    startApp(t, watch, { args: { dir, count: 0, options: { rss: '90GB' } }, via });
    await waitFor('two are left', () => directory.names().join() === `${sidecar},heap-rss-8.json`);
  }
});

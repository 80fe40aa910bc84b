// How a child writes a heap image: its promises are a snapshot's (whole or nothing, 0600, progress, abort, an orphan's end), its
// memory is not. What V8 makes of an image is test:image's.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { startApp } from './support/app.mjs';
import { makeControlGroup, mountTmpfs, needsRoot, needsTool, waysToMakeFiles } from './support/faults.mjs';
import { makeTemporaryDirectory, modeOf } from './support/files.mjs';
import { HAS_IMAGES, assertWholeImageFile, readImage } from './support/images.mjs';
import { goneAfter, processInfo, signalChild, snapshotChildOf, waitFor } from './support/processes.mjs';

const MIB = 1 << 20;
const only = { skip: HAS_IMAGES ? false : 'images are of Linux x64' };

/** Writes an image of a small heap. */
const write = async ({ promises, fill, plain, args }) => {
  fill(args.count ?? 20_000);
  return promises.writeSnapshot(args.name ?? 'a', { output: 'image', ...args.options }).catch(plain);
};

/** `via` of a program whose files take two seconds to reach the disk: its child is there for so long. */
const WITH_SLOW_DISK = ['strace', '-D', '-f', '-qq', '--seccomp-bpf', '-o', '/dev/null', '-e', 'trace=fsync', '-e', 'inject=fsync:delay_enter=2000000'];

const writeAndSay = ({ heapdump, fill, say, stayAlive }) => {
  stayAlive();
  fill(20_000);
  heapdump.writeSnapshot('a', { output: 'image' }, (error) => say('ended', error?.code ?? 'well'));
};

test('header, tables and blocks say what was saved', only, async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, write, { cwd: directory.path });
  const report = await app.result();
  const image = readImage(fs.readFileSync(report.path));
  assert.equal(image.bytes, report.bytes);
  assert.deepEqual([image.nodeVersion, image.v8Version], [process.versions.node, process.versions.v8]);
  assert.equal(image.pid, app.pid);
  assert.equal(image.thread, app.pid, 'the main thread');
  assert.ok(image.heapUsed > MIB && image.heapUsed < report.bytes, `${image.heapUsed}`);
  assert.ok(image.pages > 0 && image.pages <= image.mostPages, `${image.pages} of ${image.mostPages}`);
  assert.ok(image.descriptors.includes(image.output), 'what the snapshot goes to was open');
  const node = image.files.find(({ path }) => path === fs.realpathSync(process.execPath));
  assert.ok(node.buildId.length >= 16 && !node.embedded, 'Node.js is found again, not copied');
  const libraries = image.files.filter(({ path }) => /heapdump-rs.*\.node$/.test(path));
  assert.deepEqual(libraries.map(({ embedded }) => embedded), [true]);
  assert.deepEqual(image.mappings.filter(({ kind }) => kind === 'vdso').length, 1);
  assert.deepEqual(image.mappings.filter(({ kind }) => kind === 'stack').length, 1);
});

test('its child holds a few megabytes, at any size of the heap', only, async (t) => {
  const directory = makeTemporaryDirectory(t);
  const memory = async (count) => (await startApp(t, write, { cwd: directory.path, args: { count } }).result()).childPrivateMemory;
  const [small, large] = [await memory(1000), await memory(300_000)];
  t.diagnostic(`${small >> 10} KB, ${large >> 10} KB`);
  assert.ok(large < 4 * MIB, `${large}`);
  assert.ok(large - small < MIB, `${large - small}`);
});

test('memory that is marked not to be dumped is left out', only, async (t) => {
  const directory = makeTemporaryDirectory(t);
  // OpenSSL's secure heap, for keys, is marked so (MADV_DONTDUMP).
  const app = startApp(
    t,
    async ({ promises }) => {
      const marked = [];
      for (const entry of require('node:fs').readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-)/m)) {
        const [, start, end] = /^([0-9a-f]+)-([0-9a-f]+) rw-p/.exec(entry) ?? [];
        if (start && /^VmFlags:.* dd/m.test(entry) && !/^Rss: +0 kB/m.test(entry)) marked.push([start, end]);
      }
      const { path } = await promises.writeSnapshot('a', { output: 'image' });
      return { marked, path };
    },
    { cwd: directory.path, nodeOptions: ['--secure-heap=65536'] },
  );
  const { marked, path } = await app.result();
  assert.ok(marked.length > 0, 'there is such memory, and it has contents');
  const { runs } = readImage(fs.readFileSync(path));
  for (const [start, end] of marked.map((range) => range.map((address) => BigInt(`0x${address}`)))) {
    assert.deepEqual(runs.filter((run) => run.start < end && start < run.end), []);
  }
});

test('a file is whole or not there: no space, an error of the disk', only, async (t) => {
  if (!needsRoot(t)) return;
  const full = mountTmpfs(t, 4 * MIB);
  const { code, syscall } = await startApp(t, write, { cwd: full.path }).result();
  assert.deepEqual([code, syscall], ['ENOSPC', 'write']);
  assert.deepEqual(full.names(), []);
});

test('an abort ends the child, and nothing is left', only, async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(
    t,
    async ({ promises, fill, plain }) => {
      fill(200_000);
      const controller = new AbortController();
      const onProgress = ({ stage }) => stage === 'writing' && controller.abort();
      const aborted = await promises.writeSnapshot('a', { output: 'image', signal: AbortSignal.abort() }).catch(plain);
      const late = await promises.writeSnapshot('b', { output: 'image', onProgress, signal: controller.signal }).catch(plain);
      return { aborted: aborted.name, late: late.name ?? late.kind };
    },
    { cwd: directory.path },
  );
  const { aborted, late } = await app.result();
  assert.equal(aborted, 'AbortError');
  // It may have been complete by the time that progress was told of.
  assert.deepEqual(directory.names(), late === 'AbortError' ? [] : ['b.heapimage']);
});

test('a child whose parent is killed gives the file its name', only, async (t) => {
  if (!needsTool(t, 'strace')) return;
  for (const [how, via] of waysToMakeFiles(t)) {
    const directory = makeTemporaryDirectory(t);
    fs.writeFileSync(directory.at('a.heapimage'), 'the old file');
    const app = startApp(t, writeAndSay, { cwd: directory.path, via: [...WITH_SLOW_DISK, ...via] });
    const child = await snapshotChildOf(app);
    signalChild(child, 'SIGSTOP');
    app.kill('SIGKILL');
    await app.exited();
    assert.equal(fs.readFileSync(directory.at('a.heapimage'), 'utf8'), 'the old file', how);
    signalChild(child, 'SIGCONT');
    await goneAfter(child);
    assert.deepEqual(directory.names(), ['a.heapimage'], how);
    assertWholeImageFile(directory.at('a.heapimage'));
    assert.equal(modeOf(directory.at('a.heapimage')), 0o600);
  }
});

test('the file has its name before its child ends: a parent that is killed then loses nothing', only, async (t) => {
  if (!needsTool(t, 'strace')) return;
  for (const [how, via] of waysToMakeFiles(t)) {
    const directory = makeTemporaryDirectory(t);
    fs.writeFileSync(directory.at('a.heapimage'), 'the old file');
    const app = startApp(t, writeAndSay, { cwd: directory.path, via: [...WITH_SLOW_DISK, ...via] });
    const child = await snapshotChildOf(app);
    app.kill('SIGSTOP');
    await waitFor('it has ended, and nobody has waited for it', () => processInfo(child.pid)?.state === 'Z');
    app.kill('SIGKILL');
    await app.exited();
    assert.deepEqual(directory.names(), ['a.heapimage'], how);
    assertWholeImageFile(directory.at('a.heapimage'));
  }
});

test('a child that is killed as it writes leaves nothing, and its parent tells', only, async (t) => {
  if (!needsTool(t, 'strace')) return;
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, writeAndSay, { cwd: directory.path, via: WITH_SLOW_DISK });
  signalChild(await snapshotChildOf(app), 'SIGKILL');
  await app.says(/ended ERR_HEAPDUMP_CHILD_KILLED/);
  assert.deepEqual(directory.names(), []);
});

test('an error of fsync is told', only, async (t) => {
  if (!needsTool(t, 'strace')) return;
  const directory = makeTemporaryDirectory(t);
  const via = ['strace', '-D', '-f', '-qq', '--seccomp-bpf', '-o', '/dev/null', '-e', 'trace=fsync', '-e', 'inject=fsync:error=EIO'];
  const app = startApp(t, writeAndSay, { cwd: directory.path, via });
  await app.says(/ended EIO/);
  assert.deepEqual(directory.names(), []);
});

test('with little memory left in its control group an image is written, and the application goes on', only, async (t) => {
  if (!needsRoot(t)) return;
  const group = makeControlGroup(t, 'memory', {});
  if (group === undefined) return;
  const directory = makeTemporaryDirectory(t);
  const app = startApp(
    t,
    async ({ promises, fill, plain, say, once }) => {
      fill(300_000);
      await promises.writeSnapshot('warm', { output: 'image' });
      say('ready');
      await once(process.stdin, 'data');
      process.stdin.destroy();
      const refused = await promises.writeSnapshot('a').catch(plain);
      const report = await promises.writeSnapshot('a', { output: 'image' }).catch(plain);
      globalThis.more = Array.from({ length: 20_000 }, (_, i) => ({ i }));
      return { refused: refused.code, report, kept: globalThis.kept.length };
    },
    { cwd: directory.path, via: group.via, spawn: { stdio: ['pipe', 'pipe', 'pipe'] } },
  );
  await app.says(/ready/);
  fs.rmSync(directory.at('warm.heapimage'));
  await waitFor('the file cache can be told apart', () => group.read('memory.stat').includes('total_inactive_file'));
  const stat = Object.fromEntries(group.read('memory.stat').split('\n').map((line) => line.split(' ')));
  const used = Number(group.read('memory.usage_in_bytes')) - Number(stat.total_inactive_file);
  group.write('memory.limit_in_bytes', used + 24 * MIB);
  app.writeInput('go on');
  const { refused, report, kept } = await app.result();
  assert.equal(refused, 'ERR_HEAPDUMP_NO_MEMORY');
  assert.equal(report.kind, 'image', JSON.stringify(report));
  assert.equal(kept, 300_000);
  assertWholeImageFile(directory.at('a.heapimage'));
});

test('where its directory is in memory an image has to fit too; otherwise it is refused, and the application goes on', only, async (t) => {
  if (!needsRoot(t)) return;
  const group = makeControlGroup(t, 'memory', {});
  if (group === undefined) return;
  const directory = mountTmpfs(t, 1024 * MIB);
  const app = startApp(
    t,
    async ({ promises, fill, plain, say, once }) => {
      fill(300_000);
      await promises.writeSnapshot('fits', { output: 'image' });
      say('ready');
      await once(process.stdin, 'data');
      process.stdin.destroy();
      const image = await promises.writeSnapshot('a', { output: 'image' }).catch(plain);
      const instead = await promises.writeSnapshot('b', { lowMemory: 'image' }).catch(plain);
      globalThis.more = Array.from({ length: 20_000 }, (_, i) => ({ i }));
      return { image, instead, kept: globalThis.kept.length };
    },
    { cwd: directory.path, via: group.via, spawn: { stdio: ['pipe', 'pipe', 'pipe'] } },
  );
  await app.says(/ready/);
  assertWholeImageFile(directory.at('fits.heapimage'));
  const size = fs.statSync(directory.at('fits.heapimage')).size;
  fs.rmSync(directory.at('fits.heapimage'));
  // Enough for an image on a disk, and nearly enough for this one.
  group.write('memory.limit_in_bytes', Number(group.read('memory.usage_in_bytes')) + Math.round(size * 0.8));
  app.writeInput('go on');
  const { image, instead, kept } = await app.result();
  assert.deepEqual([image.code, instead.code, kept], ['ERR_HEAPDUMP_NO_MEMORY', 'ERR_HEAPDUMP_NO_MEMORY', 300_000]);
  assert.match(image.message, /not even enough memory for a heap image: .* MB of them for the image itself: its directory is in memory/);
  assert.match(instead.message, /not enough memory for a heap snapshot: .*; and not even enough memory for a heap image: .*in memory/);
  assert.doesNotMatch(instead.message, /lowMemory/);
  assert.deepEqual(directory.names(), []);
});

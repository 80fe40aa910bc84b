// Promises 1 to 3 against a disk that fails: every failure is an error with code, syscall and path, reaches the caller
// once, leaves no partial file, and an old file of that name as it was.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { canReadZstd, validateSnapshot } from '../harness/validate.mjs';
import { startApp } from './support/app.mjs';
import { injectInto, makeImmutable, mountReadOnly, mountTmpfs, needsRoot, needsTool, waysToMakeFiles } from './support/faults.mjs';
import { makeTemporaryDirectory, modeOf } from './support/files.mjs';
import { childrenOf, goneAfter, outputOf, snapshotChildOf } from './support/processes.mjs';

/** One dump into `args.name`; how it ended and how often that was told. */
const oneDump = ({ heapdump, fill, args, plain }) => new Promise((resolve) => {
  fill(args.count ?? 0);
  let calls = 0;
  heapdump.writeSnapshot(args.name, args.options ?? {}, (error, name, report) => {
    calls++;
    setImmediate(() => resolve({ error: error && plain(error), report, calls }));
  });
});

/** Starts it in `directory` with an old file in its place. */
function startDump(t, directory, { via, old = true, ...args }) {
  if (old) fs.writeFileSync(directory.at('a'), 'the old file');
  return startApp(t, oneDump, { cwd: directory.path, via, args: { name: 'a', ...args } });
}

async function fails(app, directory, code, syscall, { old = true, name = 'a' } = {}) {
  const { error, calls } = await app.result();
  const file = path.join(fs.realpathSync(directory.path), name);
  assert.deepEqual({ ...error, name: '' }, {
    name: '', message: `heapdump write error ${code}`, code, errno: error?.errno, syscall, path: file,
  });
  assert.ok(error.errno < 0);
  assert.equal(calls, 1);
  assert.deepEqual(directory.names(), old ? ['a'] : []);
  if (old) assert.equal(fs.readFileSync(directory.at('a'), 'utf8'), 'the old file');
  assert.deepEqual(childrenOf(app.pid), []);
}

for (const mode of ['fork', 'inline']) {
  test(`${mode}: a full disk is ENOSPC`, async (t) => {
    if (!needsRoot(t)) return;
    const directory = mountTmpfs(t, '2m');
    await fails(startDump(t, directory, { options: { mode } }), directory, 'ENOSPC', 'write');
    // A compressed one fits: the space was given back.
    const { error, report } = await startDump(t, directory, { options: { mode, compress: 'gzip' }, old: false }).result();
    assert.equal(error, null);
    await validateSnapshot(report.path);
  });

  test(`${mode}: a disk that is full for a compressed snapshot is ENOSPC too`, async (t) => {
    if (!needsRoot(t)) return;
    for (const [compress, extension] of [['gzip', '.gz'], ['zstd', '.zst']]) {
      const directory = mountTmpfs(t, '256k');
      const app = startDump(t, directory, { options: { mode, compress } });
      await fails(app, directory, 'ENOSPC', 'write', { name: `a${extension}` });
    }
  });

  test(`${mode}: a file size limit is EFBIG, not a death by SIGXFSZ`, async (t) => {
    const directory = makeTemporaryDirectory(t);
    // In blocks of 512 bytes or of 1 KB, as the shell counts.
    const via = ['sh', '-c', 'ulimit -f 1000 && exec "$@"', 'sh'];
    await fails(startDump(t, directory, { via, options: { mode } }), directory, 'EFBIG', 'write');
  });

  test(`${mode}: a read-only file system is EROFS`, async (t) => {
    if (!needsRoot(t)) return;
    const directory = makeTemporaryDirectory(t);
    fs.writeFileSync(directory.at('a'), 'the old file');
    const readOnly = mountReadOnly(t, directory.path);
    await fails(startDump(t, readOnly, { options: { mode }, old: false }), readOnly, 'EROFS', 'open', { old: true });
  });

  test(`${mode}: an immutable directory is EPERM`, async (t) => {
    if (!needsRoot(t)) return;
    const directory = makeTemporaryDirectory(t);
    fs.writeFileSync(directory.at('a'), 'the old file');
    if (!makeImmutable(t, directory.path)) return;
    await fails(startDump(t, directory, { options: { mode }, old: false }), directory, 'EPERM', 'open', { old: true });
  });

  test(`${mode}: an immutable file is EPERM at the rename`, async (t) => {
    if (!needsRoot(t)) return;
    const directory = makeTemporaryDirectory(t);
    fs.writeFileSync(directory.at('a'), 'the old file');
    if (!makeImmutable(t, directory.at('a'))) return;
    await fails(startDump(t, directory, { options: { mode }, old: false }), directory, 'EPERM', 'rename', { old: true });
  });

  test(`${mode}: no descriptor left is EMFILE, and with one left again it works`, async (t) => {
    const directory = makeTemporaryDirectory(t);
    const app = startApp(t, async ({ promises, plain, args }) => {
      const fs = require('node:fs');
      await promises.writeSnapshot('first', { mode: args.mode });
      const open = [];
      let limit;
      while (limit === undefined) {
        try {
          open.push(fs.openSync('/dev/null'));
        } catch (error) {
          limit = error.code;
        }
      }
      const error = await promises.writeSnapshot('a', { mode: args.mode }).catch(plain);
      // As many as each step of a dump may need, one by one: an error or a whole file.
      const outcomes = [];
      for (let free = 1; free <= 8; free++) {
        fs.closeSync(open.pop());
        outcomes.push((await promises.writeSnapshot(`${free}`, { mode: args.mode }).catch(plain)).code ?? 'whole');
      }
      for (const fd of open) fs.closeSync(fd);
      await promises.writeSnapshot('last', { mode: args.mode });
      return { limit, error, outcomes };
    }, { cwd: directory.path, args: { mode }, via: ['sh', '-c', 'ulimit -n 128 && exec "$@"', 'sh'] });
    const { limit, error, outcomes } = await app.result();
    assert.equal(limit, 'EMFILE');
    assert.equal(error.code, 'EMFILE', JSON.stringify(error));
    const firstWhole = outcomes.indexOf('whole');
    assert.ok(firstWhole >= 0, outcomes.join());
    assert.ok(outcomes.slice(firstWhole).every((outcome) => outcome === 'whole'), outcomes.join());
    assert.ok(outcomes.slice(0, firstWhole).every((outcome) => /^EMFILE$|^ERR_HEAPDUMP_/.test(outcome)), outcomes.join());
    const whole = outcomes.flatMap((outcome, i) => (outcome === 'whole' ? [`${i + 1}`] : []));
    assert.deepEqual(directory.names(), ['first', 'last', ...whole].sort());
    for (const name of directory.names()) await validateSnapshot(directory.at(name));
  });
}

test('only the place of standard input is free: EMFILE, and nothing is left', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, plain }) => {
    const fs = require('node:fs');
    await promises.writeSnapshot('first');
    const open = [];
    try {
      for (;;) open.push(fs.openSync('/dev/null'));
    } catch {
      fs.closeSync(0);
    }
    const error = await promises.writeSnapshot('a').catch(plain);
    for (const fd of open) fs.closeSync(fd);
    return error;
  }, { cwd: directory.path, via: ['sh', '-c', 'ulimit -n 128 && exec "$@"', 'sh'] });
  assert.equal((await app.result()).code, 'EMFILE');
  assert.deepEqual(directory.names(), ['first']);
});

for (const [call, error] of [['write', 'EIO'], ['write', 'ENOSPC'], ['write', 'EDQUOT'], ['fsync', 'EIO'], ['fsync', 'ENOSPC'], ['rename', 'EIO'], ['link', 'EIO'], ['link', 'ENOSPC']]) {
  test(`${error} from the child's ${call} is told as it is`, async (t) => {
    if (!needsTool(t, 'strace')) return;
    for (const [how, via] of waysToMakeFiles(t)) {
      if (call === 'link' && how !== 'without a name') continue;
      const directory = makeTemporaryDirectory(t);
      const app = startDump(t, directory, { count: 20_000, via });
      const child = await snapshotChildOf(app);
      const calls = { rename: ['rename', 'renameat', 'renameat2'], link: ['linkat'] }[call] ?? [call];
      const file = call === 'write' ? outputOf(child, directory) : undefined;
      await injectInto(t, child, file, ...calls.map((name) => `${name}:error=${error}`));
      await fails(app, directory, error, call);
      await goneAfter(child);
    }
  });
}

test('a security module that lets a file be made without a name, and not be named: a copy gets it', async (t) => {
  if (!needsTool(t, 'strace')) return;
  for (const old of [false, true]) {
    const directory = makeTemporaryDirectory(t);
    const app = startDump(t, directory, { count: 20_000, old });
    await injectInto(t, await snapshotChildOf(app), undefined, 'linkat:error=ENOENT');
    const { error, report } = await app.result();
    assert.equal(error, null, JSON.stringify(error));
    assert.deepEqual(directory.names(), ['a']);
    assert.equal((await validateSnapshot(report.path)).nodes, report.nodes);
    assert.equal(modeOf(report.path), 0o600);
  }
});

test('an error half-way is as good as one at the start: nothing partial is left', async (t) => {
  if (!needsTool(t, 'strace')) return;
  const directory = makeTemporaryDirectory(t);
  const app = startDump(t, directory, { count: 20_000 });
  const child = await snapshotChildOf(app);
  await injectInto(t, child, outputOf(child, directory), 'write:error=EIO:when=3');
  await fails(app, directory, 'EIO', 'write');
});

test('an error of the compressing thread is told as it is', async (t) => {
  if (!needsTool(t, 'strace')) return;
  for (const [compress, extension] of [['gzip', '.gz'], ['zstd', '.zst']]) {
    const directory = makeTemporaryDirectory(t);
    const app = startDump(t, directory, { count: 20_000, options: { compress } });
    const child = await snapshotChildOf(app);
    await injectInto(t, child, outputOf(child, directory), 'write:error=EIO:when=2+');
    await fails(app, directory, 'EIO', 'write', { name: `a${extension}` });
  }
});

test('EINTR and short writes are no failures', async (t) => {
  if (!needsTool(t, 'strace')) return;
  for (const compress of [undefined, 'gzip', 'zstd']) {
    const directory = makeTemporaryDirectory(t);
    const app = startDump(t, directory, { count: 20_000, old: false, options: { compress } });
    const child = await snapshotChildOf(app);
    await injectInto(t, child, outputOf(child, directory), 'write:error=EINTR:when=1+3', 'fsync:error=EINTR:when=1');
    const { error, report } = await app.result();
    assert.equal(error, null, JSON.stringify(error));
    if (compress === 'zstd' && !canReadZstd()) continue;
    const counts = await validateSnapshot(report.path);
    assert.equal(counts.nodes, report.nodes);
  }
});

test('a file system that cannot sync a directory still gives a file', async (t) => {
  if (!needsTool(t, 'strace')) return;
  const directory = makeTemporaryDirectory(t);
  const app = startDump(t, directory, { count: 20_000, old: false });
  // The first fsync is the file's own.
  await injectInto(t, await snapshotChildOf(app), undefined, 'fsync:error=EINVAL:when=2');
  const { error, report } = await app.result();
  assert.equal(error, null);
  await validateSnapshot(report.path);
});

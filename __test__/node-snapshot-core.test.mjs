// node-snapshot --core: a process that never loaded the package leaves a core file, and that becomes a snapshot.
// Ways to die and versions of Node.js: npm run test:cores.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { startProgram } from './support/app.mjs';
import { runCommand } from './support/command.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { buildLibrary } from './support/library.mjs';
import { restoresImages } from './support/restored.mjs';

const { describe } = createRequire(import.meta.url)('../lib/cli/cores.js');

const SUBJECT = new URL('./cores/subject.cjs', import.meta.url).pathname;

/** The core of a process that aborted, and the directory that it alone is in; undefined where cores go elsewhere. */
async function abortedCore(t, way = 'abort', ...more) {
  if (!restoresImages(t)) return undefined;
  const pattern = fs.readFileSync('/proc/sys/kernel/core_pattern', 'utf8').trim();
  if (pattern.startsWith('|') || pattern.includes('/')) {
    t.diagnostic(`not run: cores go to ${pattern}`);
    return undefined;
  }
  const directory = makeTemporaryDirectory(t);
  const via = ['sh', '-c', 'ulimit -c unlimited; exec "$@"', 'sh'];
  await startProgram(t, [process.execPath, SUBJECT, way, ...more], { cwd: directory.path, via }).ended();
  const [name] = directory.names();
  assert.match(name, /^core/);
  return { core: directory.at(name), directory };
}

async function refused(t, args) {
  const { code, stderr } = await runCommand(t, ['node-snapshot', ...args]);
  assert.equal(code, 2, stderr);
  return stderr;
}

test('a core of an aborted process becomes a whole snapshot, and nothing else is left', async (t) => {
  const made = await abortedCore(t);
  if (made === undefined) return;
  const { core, directory } = made;
  const output = directory.at('out.heapsnapshot');
  const { code, stdout, stderr } = await runCommand(t, ['node-snapshot', '--core', core, '--output', output]);
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /complete/);
  const { stringTable } = await validateSnapshot(output, { strings: true });
  assert.ok(stringTable.includes('PlantedInCore'));
  assert.deepEqual(directory.names(), [core, output].map((file) => file.slice(directory.path.length + 1)));

  await t.test('another program is refused by its build-id, and the right one is named', async () => {
    const told = await refused(t, ['--core', core, '--node', '/bin/sh', '--output', directory.at('other')]);
    assert.match(told, /build-id [0-9a-f]{8,}\), and the file here is another \(build-id [0-9a-f]{8,}\).*\[ERR_HEAPDUMP_CORE\]/s);
    assert.ok(told.includes(`of Node.js ${process.versions.node}`), told);
  });

  await t.test('each library that is not here is asked for, by its build-id', async () => {
    const { sharedObjects } = process.report.getReport();
    const libraries = sharedObjects.map((file) => fs.existsSync(file) && fs.realpathSync(file)).filter((file) => /\/(lib|ld)[^/]*\.so/.test(file));
    assert.ok(libraries.some((file) => /\/(libc|ld-musl)/.test(file)), libraries.join());
    for (const file of libraries) {
      const told = await refused(t, ['--core', core, '--map', `${file}=/missing`, '--output', directory.at('other')]);
      assert.ok(told.includes(`it needs ${file} `), told);
      assert.match(told, /which is not here/);
    }
  });

  await t.test('all files of another machine are below one directory', async () => {
    const root = directory.at('root');
    const { sharedObjects } = process.report.getReport();
    for (const file of [process.execPath, ...sharedObjects].filter((file) => fs.existsSync(file)).map((file) => fs.realpathSync(file))) {
      fs.mkdirSync(path.dirname(root + file), { recursive: true });
      fs.copyFileSync(file, root + file);
    }
    const { code, stderr } = await runCommand(t, ['node-snapshot', '--core', core, '--map', `/=${root}`, '--output', directory.at('mapped.heapsnapshot')]);
    assert.equal(code, 0, stderr);
    fs.rmSync(root, { recursive: true });
  });

  await t.test('a core that is cut says so', async () => {
    fs.truncateSync(core, fs.statSync(core).size - 1);
    const told = await refused(t, ['--core', core, '--output', directory.at('cut')]);
    assert.match(told, /it is cut short: \d+ of \d+ bytes are there.*\[ERR_HEAPDUMP_CORE\]/);
  });
  assert.ok(!directory.names().includes('other') && !directory.names().includes('cut'));
});

test('where the main thread waits for the one that aborted, the snapshot is taken there, and that is told', async (t) => {
  const library = buildLibrary(t, 'native-fault', 'cores');
  const made = library && (await abortedCore(t, 'waits', library));
  if (made === undefined) return;
  const { core, directory } = made;
  const output = directory.at('out.heapsnapshot');
  const { code, stderr } = await runCommand(t, ['node-snapshot', '--core', core, '--output', output]);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^heapdump-rs: the main thread waits for the thread that ended the process: the snapshot is taken there/);
  const { stringTable } = await validateSnapshot(output, { strings: true });
  assert.ok(stringTable.includes('PlantedInCore'));
});

test('what is no core is refused with what it is', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  for (const [bytes, expected] of [
    [Buffer.from('a text'), /no core file/],
    [Buffer.from([0x04, 0x22, 0x4d, 0x18, 0, 0]), /compressed with lz4; unpack it first \(lz4 -d\)/],
    [fs.readFileSync('/bin/sh'), /no core file/],
  ]) {
    fs.writeFileSync(directory.at('core'), bytes);
    assert.match(await refused(t, ['--core', directory.at('core'), '--output', directory.at('out')]), expected);
  }
  assert.match(await refused(t, ['--core', directory.at('missing'), '--output', directory.at('out')]), /there is no such file/);
  assert.match(await refused(t, ['--core', directory.at('core'), '--check', '--output', 'out']), /--check belongs to --image/);
  assert.deepEqual(directory.names(), ['core']);
});

test('doctor says whether core files are on, and where', () => {
  const plain = { pattern: 'core', limit: Infinity, dumpable: true, usesPid: true };
  for (const [found, expected] of [
    [plain, /are on: core\.%p in its working directory/],
    [{ ...plain, limit: 0 }, /are off: their limit is 0 bytes; ulimit -c unlimited/],
    [{ ...plain, limit: 1e6 }, /are on: .*cut at 1\.0 MB/],
    [{ ...plain, dumpable: false }, /are off: its program or its user is a privileged one/],
    [{ ...plain, pattern: '' }, /are off: .*core_pattern is empty/],
    [{ ...plain, pattern: '/cores/core.%e.%p' }, /are on: \/cores\/core\.%e\.%p in its file system/],
    [{ ...plain, pattern: '|/usr/lib/systemd/systemd-coredump %P %u', limit: 0 }, /on: the kernel hands them to \S+ on the host \(coredumpctl.*limit .* is 0/],
  ]) {
    assert.match(describe(found), expected);
  }
});

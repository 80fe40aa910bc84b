// npx heapdump-rs node-snapshot --image: a snapshot of a process that is no more, or in plain words why there is none.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { runCommand } from './support/command.mjs';
import { WITHOUT_RIGHTS, needsRoot, needsTool, refusing } from './support/faults.mjs';
import { makeTemporaryDirectory, modeOf } from './support/files.mjs';
import { makeImage, restorer, restoresImages, writeImage } from './support/restored.mjs';

const EPERM = 1;

const restore = (t, image, output, args = [], options = {}) =>
  runCommand(t, ['node-snapshot', '--image', image, '--output', output, ...args], options);

/** The snapshot is whole, and has the objects of `writeImage`. */
async function assertMarks(file) {
  const found = await validateSnapshot(file, { strings: true });
  assert.ok(found.nodes > 10_000);
  assert.ok(fs.readFileSync(file, 'latin1').includes('MarkOfImage'));
}

for (const compress of [undefined, 'zstd']) {
  test(`the process of an image writes its snapshot (${compress ?? 'not compressed'})`, async (t) => {
    if (!restoresImages(t)) return;
    const directory = makeTemporaryDirectory(t);
    const image = await writeImage(t, directory.at('a.heapsnapshot'), { compress });
    const { code, stdout, stderr } = await restore(t, image, directory.at('b.heapsnapshot'));
    assert.equal(stderr, '');
    assert.equal(code, 0);
    assert.match(stdout, /b\.heapsnapshot: complete, .* objects/);
    assert.equal(modeOf(directory.at('b.heapsnapshot')), 0o600);
    await assertMarks(directory.at('b.heapsnapshot'));
    const name = image.slice(directory.path.length + 1);
    assert.deepEqual(directory.names(), [name, 'b.heapsnapshot'].sort(), 'nothing else is left');
  });
}

test('what comes out is compressed as its name says', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  const image = await writeImage(t, directory.at('a.heapimage'));
  assert.equal((await restore(t, image, directory.at('b.heapsnapshot.gz'))).code, 0);
  assert.ok((await validateSnapshot(directory.at('b.heapsnapshot.gz'))).nodes > 10_000);
});

test('--check says what the image is and that this machine will do, and writes nothing', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  const image = await writeImage(t, directory.at('a.heapimage'), { compress: 'zstd' });
  const { code, stdout } = await runCommand(t, ['node-snapshot', '--image', image, '--check']);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /a heap image, whole, /);
  assert.ok(stdout.includes(`Node.js ${process.versions.node}, V8 ${process.versions.v8}`), stdout);
  assert.ok(stdout.includes(`needs    ${fs.realpathSync(process.execPath)}`), stdout);
  assert.match(stdout, /This machine will do\.\n$/);
  assert.deepEqual(directory.names(), ['a.heapimage.zst']);
});

test('without its Node.js: which it was and how it is named', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  const image = await writeImage(t, directory.at('a.heapimage'));
  const node = fs.realpathSync(process.execPath);
  const other = directory.at('node');
  fs.copyFileSync('/bin/sh', other);
  // The test's own Node.js would be found by its build-id.
  const lacking = spawnSync(restorer(), ['--check', '--map', `${node}=${other}`], { stdio: [fs.openSync(image), 'pipe', 'pipe'] });
  assert.equal(lacking.status, 4);
  assert.match(`${lacking.stderr}`, /^lacks file: .*node: is another build: its build-id is [0-9a-f]+, and the image's [0-9a-f]+$/m);
  const moved = await restore(t, image, directory.at('b.heapsnapshot'), ['--map', `${node}=${other}`, '--node', node]);
  assert.equal(moved.code, 0, moved.stderr);
});

test('a damaged image is told, and there is no file', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  const image = await writeImage(t, directory.at('a.heapimage'));
  const whole = fs.readFileSync(image);
  const cut = directory.at('cut.heapimage');
  fs.writeFileSync(cut, whole.subarray(0, whole.length - 5000));
  const flipped = directory.at('flipped.heapimage');
  whole[whole.length >> 1] ^= 4;
  fs.writeFileSync(flipped, whole);
  const none = directory.at('none.heapimage');
  fs.writeFileSync(none, 'none');
  for (const [file, words] of [
    [cut, /cut short/],
    [flipped, /damaged/],
    [none, /does not begin as a heap image/],
  ]) {
    for (const args of [['--output', directory.at('b.heapsnapshot')], ['--check']]) {
      const { code, stderr } = await runCommand(t, ['node-snapshot', '--image', file, ...args]);
      assert.equal(code, 2);
      assert.match(stderr, words);
      assert.match(stderr, /\[ERR_HEAPDUMP_IMAGE_INVALID\]/);
    }
  }
  const missing = await restore(t, directory.at('missing.heapimage'), directory.at('b.heapsnapshot'));
  assert.match(missing.stderr, /cannot read .*missing\.heapimage: there is no such file/);
  assert.ok(!fs.existsSync(directory.at('b.heapsnapshot')));
});

test('a cut .zst is told', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  const image = await writeImage(t, directory.at('a.heapimage'), { compress: 'zstd' });
  fs.truncateSync(image, fs.statSync(image).size >> 1);
  const { code, stderr } = await restore(t, image, directory.at('b.heapsnapshot'));
  assert.equal(code, 2);
  assert.match(stderr, /cannot unpack .*a\.heapimage\.zst/);
  assert.deepEqual(directory.names(), ['a.heapimage.zst']);
});

test('a restored process that waits for ever is ended', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  makeImage('sleeps', directory.at('a.heapimage'));
  const { code, stderr } = await restore(t, directory.at('a.heapimage'), directory.at('b.heapsnapshot'));
  assert.equal(code, 2);
  assert.match(stderr, /waited for a thread that does not exist, and was ended.*\[ERR_HEAPDUMP_IMAGE_FAILED\]/);
  assert.deepEqual(directory.names(), ['a.heapimage']);
});

test('a restored process that crashes leaves no file', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  makeImage('crashes', directory.at('a.heapimage'));
  const { code, stderr } = await restore(t, directory.at('a.heapimage'), directory.at('b.heapsnapshot'));
  assert.equal(code, 2);
  assert.match(stderr, /an instruction that this CPU does not have.*\[ERR_HEAPDUMP_IMAGE_FAILED\]/);
  assert.deepEqual(directory.names(), ['a.heapimage']);
});

test('what is no snapshot gets no name', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  makeImage('writes', directory.at('a.heapimage'), 'something else');
  const { code, stderr } = await restore(t, directory.at('a.heapimage'), directory.at('b.heapsnapshot'));
  assert.equal(code, 2);
  assert.match(stderr, /this is no heap snapshot: it begins with/);
  assert.deepEqual(directory.names(), ['a.heapimage']);
});

test('where PR_SET_MM is refused', async (t) => {
  if (!restoresImages(t)) return;
  const via = refusing(t, 'marks', EPERM);
  if (via === undefined) return;
  const directory = makeTemporaryDirectory(t);
  const image = await writeImage(t, directory.at('a.heapimage'));
  const { code, stderr } = await restore(t, image, directory.at('b.heapsnapshot'), [], { via });
  assert.equal(code, 0, stderr);
  await assertMarks(directory.at('b.heapsnapshot'));
});

test('in an empty directory as root, as nobody', async (t) => {
  if (!restoresImages(t) || !needsRoot(t) || !needsTool(t, 'chroot')) return;
  const directory = makeTemporaryDirectory(t);
  const image = await writeImage(t, directory.at('a.heapimage'), { embed: 'all' });
  fs.mkdirSync(directory.at('root'));
  fs.chmodSync(directory.path, 0o755);
  fs.chmodSync(directory.at('root'), 0o755);
  fs.copyFileSync(restorer(), directory.at('root/restore'));
  const output = directory.at('b.heapsnapshot');
  const stdio = [fs.openSync(image), fs.openSync(output, 'w'), 'pipe'];
  const { status, stderr } = spawnSync('chroot', ['--userspec=65534:65534', directory.at('root'), '/restore'], { stdio });
  assert.equal(status, 0, `${stderr}`);
  await assertMarks(output);
});

test('for a user without rights', async (t) => {
  if (!restoresImages(t) || !needsRoot(t) || !needsTool(t, 'setpriv')) return;
  const directory = makeTemporaryDirectory(t);
  const image = await writeImage(t, directory.at('a.heapimage'));
  fs.chmodSync(image, 0o644);
  fs.chmodSync(directory.path, 0o777);
  const { code, stderr } = await restore(t, image, directory.at('b.heapsnapshot'), [], { via: WITHOUT_RIGHTS });
  assert.equal(code, 0, stderr);
  await assertMarks(directory.at('b.heapsnapshot'));
});

test('within tight limits', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  const image = await writeImage(t, directory.at('a.heapimage'));
  const output = directory.at('b.heapsnapshot');
  for (const [limit, status, words] of [
    ['-s 64', 0, /begins/],
    ['-n 64', 0, /begins/],
    ['-v 200000', 4, /^lacks address-space: \d+ bytes; the limit \(ulimit -v\) is 204800000$/m],
    ['-n 5', 4, /^lacks descriptors: \d+; the limit \(ulimit -n\) is 5$/m],
  ]) {
    const stdio = [fs.openSync(image), fs.openSync(output, 'w'), 'pipe'];
    const run = spawnSync('sh', ['-c', `ulimit ${limit}; exec "$0"`, restorer()], { stdio });
    assert.equal(run.status, status, `${limit}: ${run.stderr}`);
    assert.match(`${run.stderr}`, words);
    if (status === 0) await assertMarks(output);
  }
});

test('commands that read snapshots read images', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  const image = await writeImage(t, directory.at('a.heapimage'), { compress: 'zstd' });
  const { code, stdout, stderr } = await runCommand(t, ['summary', image, '--filter', 'MarkOfImage']);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /MarkOfImage/);
  assert.match(stdout, /\b17\b/);
  assert.deepEqual(directory.names(), ['a.heapimage.zst']);
});

test('options that make no sense together', async (t) => {
  const run = async (...args) => (await runCommand(t, ['node-snapshot', ...args])).stderr;
  assert.match(await run('--check', '--pid', '1'), /--check belongs to --image/);
  assert.match(await run('--image', 'a', '--pid', '1', '--output', 'b'), /one of --endpoint, --pid, --all, --image and --core is needed/);
  if (restoresImages(t)) {
    const directory = makeTemporaryDirectory(t);
    makeImage('writes', directory.at('a.heapimage'));
    assert.match(await run('--image', directory.at('a.heapimage'), '--output', directory.at('b'), '--map', 'x'), /--map must be OLD=NEW/);
  }
});

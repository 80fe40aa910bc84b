// npx heapdump-rs node-snapshot --image with files that are to do harm, or that do not answer.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { runCommand } from './support/command.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { makeImage, restoresImages, writeImage } from './support/restored.mjs';

const require = createRequire(import.meta.url);
const { Restorer } = require('../lib/cli/restorer.js');
const words = require('../lib/cli/image-words.js');

const PAGE = 4096;

/** A frame of zstd (RFC 8878): `start`, and then `byte` again and again. */
function zstdFrame(start, byte, blocks) {
  const block = (type, size, last = 0) => {
    const header = Buffer.alloc(3);
    header.writeUIntLE(last | (type << 1) | (size << 3), 0, 3);
    return header;
  };
  const again = Buffer.concat([block(1, 128 << 10), Buffer.from([byte])]);
  const all = Buffer.alloc(again.length * blocks, again);
  return Buffer.concat([Buffer.from('28b52ffd0058', 'hex'), block(0, start.length), start, all, block(0, 0, 1)]);
}

test('an image that the restored process answers with replaces nothing', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  const fake = Buffer.alloc(2 * PAGE);
  fake.write('HEAPIMG\0');
  fake.write('HEAPEND\0', PAGE);
  const image = directory.at('a.heapimage');
  makeImage('writes', image, fake);
  const evidence = fs.readFileSync(image);
  for (const args of [['node-snapshot', '--image', image, '--output', directory.at('a.heapsnapshot'), '--force'], ['summary', image]]) {
    const { code, stderr } = await runCommand(t, args);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /an image came where a snapshot was to come; it is not kept\n$/);
    assert.doesNotMatch(stderr, /\n +at /);
    assert.deepEqual(directory.names(), ['a.heapimage']);
    assert.ok(fs.readFileSync(image).equals(evidence));
  }
});

test('a time that no calendar has', () => {
  const [, , when] = words.description('a', { files: [], pages: '1', time: '9000000000000000' });
  assert.match(when, /9000000000000000, which is no time/);
});

test('a pipe is no image, and nobody waits for it', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  execFileSync('mkfifo', [directory.at('a.heapimage')]);
  const { code, stderr } = await runCommand(t, ['node-snapshot', '--image', directory.at('a.heapimage'), '--check']);
  assert.equal(code, 2);
  assert.match(stderr, /a\.heapimage is no file/);
});

test('a pipe in the place of a file of the image ends by itself, and by --timeout', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  const image = await writeImage(t, directory.at('a.heapimage'));
  execFileSync('mkfifo', [directory.at('pipe')]);
  const map = `${fs.realpathSync(process.execPath)}=${directory.at('pipe')}`;
  for (const more of [[], ['--timeout', '1']]) {
    const args = ['--output', directory.at('b.heapsnapshot'), '--force', '--map', map, ...more];
    const { code, stderr } = await runCommand(t, ['node-snapshot', '--image', image, ...args]);
    assert.ok(code === 0 || code === 2, `${code}`);
    assert.doesNotMatch(stderr, /waited for a thread|report this/);
  }
});

test('a signal ends a restorer before anything of the image runs', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  makeImage('sleeps', directory.at('a.heapimage'));
  const restorer = new Restorer(fs.openSync(directory.at('a.heapimage')), [], AbortSignal.abort());
  restorer.output.resume();
  assert.deepEqual(await restorer.ended(), { status: null, signal: 'SIGKILL' });
});

test('what never began is not said to have run', () => {
  const silent = { image: { files: [] }, lacks: [], said: '', line: '' };
  const [code, text] = words.ending({ ...silent, hung: true, hasBegun: false }, { status: null, signal: 'SIGKILL' });
  assert.equal(code, 'ERR_HEAPDUMP_IMAGE_MACHINE');
  assert.match(text, /a file did not answer before the process came back/);
  const end = { status: 127, signal: null };
  assert.match(words.ending({ ...silent, isSilent: true, line: 'sh: not found' }, end)[1], /could not run \(status 127\).*It said:\n {2}sh: not found/s);
});

test('a core is called a core', () => {
  const restorer = { image: { files: [] }, lacks: [], said: '', hasBegun: true, isSilent: false };
  assert.match(words.ending(restorer, { status: null, signal: 'SIGSEGV' }, undefined, true)[1], /The core is kept.*The core is of/);
  assert.doesNotMatch(words.ending({ ...restorer, lacks: [['file', 'a']] }, { status: 4 }, undefined, true)[1], /embed/);
});

test('a few bytes that unpack to many are refused', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  makeImage('writes', directory.at('whole.heapimage'), 'text');
  const start = fs.readFileSync(directory.at('whole.heapimage')).subarray(0, PAGE);
  const file = directory.at('a.heapimage.zst');
  for (const [bytes, expected] of [
    [zstdFrame(Buffer.from('AAAA'), 0x41, 1 << 15), /neither a heap image nor a core file/],
    [zstdFrame(start, 0x41, 1 << 15), /unpacks to more than the \d+ bytes that it says/],
  ]) {
    fs.writeFileSync(file, bytes);
    const { code, stderr } = await runCommand(t, ['node-snapshot', '--image', file, '--check']);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /cannot unpack .*a\.heapimage\.zst/);
    assert.match(stderr, expected);
  }
});

test('--timeout ends the unpacking of a core that has no end', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  const start = Buffer.alloc(64);
  start.write('\x7fELF\x02\x01\x01');
  start[16] = 4;
  // A terabyte of zeros, none of which is written.
  fs.writeFileSync(directory.at('core.zst'), zstdFrame(start, 0, 1 << 23));
  const args = ['--core', directory.at('core.zst'), '--output', directory.at('a.heapsnapshot'), '--timeout', '1'];
  const { code, stderr } = await runCommand(t, ['node-snapshot', ...args]);
  assert.equal(code, 2);
  assert.match(stderr, /the time of --timeout is over/);
  assert.deepEqual(directory.names(), ['core.zst']);
});

test('commands that read snapshots take the options of --image, and say what runs', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  const image = await writeImage(t, directory.at('a.heapimage'));
  const node = fs.realpathSync(process.execPath);
  const args = [`--baseline=${image}`, `--target=${image}`, '--final', image, '--node', node, `--map=${node}=${node}`, '--ignore-cpu'];
  const { code, stderr } = await runCommand(t, ['find-leaks', ...args]);
  assert.notEqual(code, 2, stderr);
  assert.equal(stderr.split(`restoring ${image}: the program in it runs, shut in\n`).length, 4, stderr);
  assert.match((await runCommand(t, ['summary', image, '--node'])).stderr, /--node wants a value/);
});

test('a core that is given to a command for snapshots is known', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const core = Buffer.alloc(PAGE);
  core.write('\x7fELF\x02\x01\x01');
  core[16] = 4;
  fs.writeFileSync(directory.at('core.4242'), core);
  const { code, stderr } = await runCommand(t, ['summary', directory.at('core.4242')]);
  assert.equal(code, 2);
  assert.match(stderr, /node-snapshot --core FILE --output OTHER/);
});

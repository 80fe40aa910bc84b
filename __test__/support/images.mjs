// Heap images, as far as a file tells without being restored; what V8 makes of them is test:image's.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';

import { startApp } from './app.mjs';

const PAGE = 4096;

/** Images are of Linux x64. */
export const HAS_IMAGES = process.platform === 'linux' && process.arch === 'x64';

/** Whether `image` begins and ends as a whole one does (crates/heapimage). */
export function assertWholeImage(image) {
  assert.equal(image.toString('latin1', 0, 8), 'HEAPIMG\0');
  assert.equal(image.length % PAGE, 0);
  assert.equal(image.toString('latin1', image.length - PAGE, image.length - PAGE + 8), 'HEAPEND\0');
}

/** The same of a file, unpacked if its name says so; gives its size on the disk. */
export function assertWholeImageFile(file) {
  const bytes = fs.readFileSync(file);
  assertWholeImage(file.endsWith('.zst') ? unpacked(bytes) : bytes);
  return bytes.length;
}

export function unpacked(bytes) {
  const { status, stdout, stderr } = spawnSync('zstd', ['-dc'], { input: bytes, maxBuffer: 2 ** 31 });
  assert.equal(status, 0, `${stderr}`);
  return stdout;
}

/**
 * Leaves a program that has said `ready` `room` MB more of data than it has (setrlimit(2), RLIMIT_DATA): at 40 too little for a
 * snapshot, and enough for an image.
 */
export async function makeMemoryShort(app, room = 40) {
  const kilobytes = Number(/^VmData:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${app.pid}/status`, 'utf8'))[1]);
  const limit = `--data=${kilobytes * 1024 + (room << 20)}:`;
  const { status, stderr } = spawnSync('prlimit', ['--pid', `${app.pid}`, limit], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
}

/** A program whose memory is short from the moment on that `body` calls `await short()`. */
export async function startShortOfMemory(t, body, { room, ...options } = {}) {
  const source = `async (tools) => (${body})({ ...tools, short: async () => {
    tools.say('ready');
    await require('node:events').once(process.stdin, 'data');
    process.stdin.destroy();
  } })`;
  const app = startApp(t, source, { ...options, spawn: { stdio: ['pipe', 'pipe', 'pipe'] } });
  await app.says(/ready/);
  await makeMemoryShort(app, room);
  app.writeInput('go on');
  return app;
}

/** `Header.entry.output` */
const ENTRY_OUTPUT = 512;
const KINDS = ['memory', 'file', 'vdso', 'stack'];

/** What header and tables of an image say (crates/heapimage), and its runs of pages; checksums are Rust's to compare. */
export function readImage(image) {
  assertWholeImage(image);
  const text = (from, length) => image.toString('latin1', from, from + length).split('\0')[0];
  const long = (at) => image.readBigUInt64LE(at);
  const count = (at) => Number(long(at));
  const [mappingCount, fileCount] = [image.readUInt32LE(36), image.readUInt32LE(40)];
  const mappings = Array.from({ length: mappingCount }, (_, i) => {
    const at = 2 * PAGE + i * 48;
    return { start: long(at), end: long(at + 8), kind: KINDS[image.readUInt32LE(at + 28)], file: image.readUInt32LE(at + 32) };
  });
  const files = Array.from({ length: fileCount }, (_, i) => {
    const at = 2 * PAGE + mappingCount * 48 + i * PAGE;
    const buildId = image.subarray(at + 32, at + 32 + image.readUInt32LE(at + 24));
    return { path: text(at + 128, PAGE - 128), buildId, embedded: image.readUInt32LE(at + 96) === 1 };
  });
  let at = 2 * PAGE + Math.ceil((mappingCount * 48 + fileCount * PAGE) / PAGE) * PAGE;
  const runs = [];
  let [blocks, pages] = [0, 0];
  for (; image.toString('latin1', at, at + 8) === 'HEAPBLK\0'; blocks++) {
    const [runCount, before] = [count(at + 16), pages];
    for (let i = 0; i < runCount; i++) {
      const [start, length] = [long(at + 24 + i * 16), count(at + 32 + i * 16)];
      const end = start + BigInt(length * PAGE);
      const mapping = mappings.find((mapping) => mapping.start <= start && end <= mapping.end);
      assert.ok(mapping, `a run at ${start.toString(16)} is in no mapping`);
      runs.push({ start, end, mapping });
      pages += length;
    }
    at += PAGE + (pages - before) * PAGE;
  }
  assert.equal(at, image.length - PAGE, 'the trailer follows the last block');
  assert.deepEqual([count(at + 16), count(at + 24)], [blocks, pages]);
  const header = { pid: image.readUInt32LE(56), thread: image.readUInt32LE(60), heapUsed: count(64), mostPages: count(72) };
  const descriptors = image.subarray(2 * PAGE - 4096, 2 * PAGE);
  return {
    ...header,
    bytes: image.length,
    nodeVersion: text(80, 32),
    v8Version: text(112, 32),
    output: image.readUInt32LE(ENTRY_OUTPUT),
    descriptors: Array.from(descriptors, (byte, i) => [...Array(8).keys()].filter((bit) => (byte >> bit) & 1).map((bit) => i * 8 + bit)).flat(),
    mappings,
    files,
    runs,
    pages,
  };
}

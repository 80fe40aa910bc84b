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
 * Leaves a program that has said `ready` too little memory for a snapshot, and enough for an image: 40 MB more of data than
 * it has (setrlimit(2), RLIMIT_DATA).
 */
export async function makeMemoryShort(app) {
  const kilobytes = Number(/^VmData:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${app.pid}/status`, 'utf8'))[1]);
  const limit = `--data=${kilobytes * 1024 + (40 << 20)}:`;
  const { status, stderr } = spawnSync('prlimit', ['--pid', `${app.pid}`, limit], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
}

/** A program whose memory is short from the moment on that `body` calls `await short()`. */
export async function startShortOfMemory(t, body, options = {}) {
  const source = `async (tools) => (${body})({ ...tools, short: async () => {
    tools.say('ready');
    await require('node:events').once(process.stdin, 'data');
    process.stdin.destroy();
  } })`;
  const app = startApp(t, source, { ...options, spawn: { stdio: ['pipe', 'pipe', 'pipe'] } });
  await app.says(/ready/);
  await makeMemoryShort(app);
  app.writeInput('go on');
  return app;
}

// A pair: an image, and the snapshot that the same child wrote behind it. Restored, the image becomes that very snapshot.

import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import limits from '../../harness/limits.cjs';
import { root } from '../../harness/run.mjs';
import { validateSnapshot } from '../../harness/validate.mjs';

/**
 * Has a process write both (subject.cjs).
 * @param {string} node
 * @param {{where: string, megabytes: number, image: string, plain: string}} wanted
 * @returns what is wrong; undefined where nothing is
 */
export async function writePair(node, wanted) {
  // Node.js itself needs a few.
  const flags = wanted.where === 'limit' ? [`--max-old-space-size=${Math.max(wanted.megabytes, 16)}`] : [];
  const { code, said } = await end(node, [...flags, join(root, '__test__/image/subject.cjs'), JSON.stringify(wanted)]);
  const isWritten = wanted.where === 'limit' ? existsSync(wanted.plain) : code === 0;
  return isWritten ? undefined : `the subject ended with ${code}: ${said}`;
}

/**
 * Restores the image, with `more` options, and compares: every byte, but of Node.js 20 and before no addresses (`major`).
 * @param {{image: string, plain: string, restored: string, major?: number}} pair
 * @returns what is wrong; undefined where nothing is
 */
export async function comparePair({ image, plain, restored, major }, more = []) {
  const notRestored = await restore(image, restored, more);
  if (notRestored !== undefined) return notRestored;
  const [a, b] = [plain, restored].map((file) => readFileSync(file));
  return a.equals(b) || (major < 22 && areTheSameButForAddresses(a, b)) ? undefined : `differs: ${JSON.stringify([await counts(plain), await counts(restored)])}`;
}

/** A node of the embedder's (`native` is kind 8, `synthetic`, a root of its own, kind 9) as V8 writes it, and its id. */
const EMBEDDERS = /^(,?[89],\d+,)(\d+)(,[\d,]+)$/;

/**
 * In V8 11 such a node has for its id twice the address of what stands for it while the snapshot is taken, and that may be memory
 * that the kernel gives at that moment (EmbedderGraphEntriesAllocator::AllocateEntry of heap-snapshot-generator.cc). Ids of V8's
 * own are odd.
 */
export function areTheSameButForAddresses(a, b) {
  for (let [from, other] = [0, 0]; ; ) {
    const length = Math.min(a.length - from, b.length - other);
    const at = differsAt(a.subarray(from, from + length), b.subarray(other, other + length));
    if (at === length) return a.length - from === b.length - other;
    const [one, two] = [lineAt(a, from + at), lineAt(b, other + at)];
    const [, kind, id, rest] = EMBEDDERS.exec(one.text) ?? [];
    const [, kind2, id2, rest2] = EMBEDDERS.exec(two.text) ?? [];
    if (kind === undefined || kind !== kind2 || rest !== rest2 || id % 2 !== 0 || id2 % 2 !== 0) return false;
    [from, other] = [one.end, two.end];
  }
}

/** Where the first byte is that is another; the length where all are the same. */
function differsAt(a, b) {
  let at = 0;
  for (let size = 1 << 16; size >= 1; size >>= 4) {
    while (at < a.length && a.subarray(at, at + size).equals(b.subarray(at, at + size))) at += size;
  }
  return Math.min(at, a.length);
}

function lineAt(bytes, at) {
  const start = bytes.subarray(0, at).lastIndexOf(10) + 1;
  const end = bytes.indexOf(10, at);
  // A file's last line, of strings, may be as long as it likes.
  return { text: bytes.toString('latin1', start, Math.min(end < 0 ? bytes.length : end, start + 200)), end: end < 0 ? bytes.length : end };
}

/** Makes a snapshot of an image, or (`--core`) of a core file: what is wrong; undefined where nothing is. */
export async function restore(image, snapshot, more = [], from = '--image') {
  const command = [join(root, 'bin/heapdump-rs.js'), 'node-snapshot', from, image, '--output', snapshot, ...more];
  const { code, said } = await end(process.execPath, command);
  return code === 0 ? undefined : `not restored: ${said}`;
}

async function counts(file) {
  try {
    const { nodes, edges, strings } = await validateSnapshot(file);
    return { nodes, edges, strings };
  } catch (error) {
    return error.message;
  }
}

/** How a program ends, and all that it says. */
function end(file, args) {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, NODE_OPTIONS: '', NODE_HEAPDUMP_OPTIONS: '' };
    const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), limits.WAIT);
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (said += text));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code: code ?? signal, said: said.slice(-2000) });
    });
  });
}

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
 * Restores the image, with `more` options, and compares.
 * @param {{image: string, plain: string, restored: string}} pair
 * @returns what is wrong; undefined where nothing is
 */
export async function comparePair({ image, plain, restored }, more = []) {
  const notRestored = await restore(image, restored, more);
  if (notRestored !== undefined) return notRestored;
  const [a, b] = [plain, restored].map((file) => readFileSync(file));
  return a.equals(b) ? undefined : `differs: ${JSON.stringify([await counts(plain), await counts(restored)])}`;
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

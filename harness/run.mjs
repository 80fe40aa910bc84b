// Small things that every tool needs: node built-ins only, because a fresh clone has nothing installed.

import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const colours = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (code) => (text) => (colours ? `\x1b[${code}m${text}\x1b[0m` : text);
export const bold = paint(1);
export const dim = paint(2);
export const red = paint(31);
export const green = paint(32);
export const yellow = paint(33);

/** What a person can mend: printed without a stack. */
export class Problem extends Error {}

/**
 * Runs a command in the repository's root. With `capture` its output is kept, otherwise it is shown.
 * @returns {Promise<{code: number | null, output: string}>} `code` is null when it could not be started
 */
export function run(command, args, { capture = false, env = process.env } = {}) {
  return new Promise((resolve) => {
    const stdio = capture ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'];
    // npm is a script for a shell on Windows.
    const shell = process.platform === 'win32' && command === 'npm';
    const child = spawn(command, args, { cwd: root, env, shell, stdio });
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (text) => (output += text));
    child.stderr?.setEncoding('utf8').on('data', (text) => (output += text));
    child.on('error', (error) => resolve({ code: null, output: error.message }));
    child.on('close', (code, signal) => resolve({ code: signal ? 128 : code, output }));
  });
}

/** The output of a command that must succeed. */
export async function must(command, args) {
  const { code, output } = await run(command, args, { capture: true });
  if (code !== 0) throw new Problem(`${command} ${args.join(' ')} failed:\n${output}`);
  return output;
}

/** Runs a tool's main function: a Problem ends the process with its text alone. */
export async function main(body) {
  try {
    await body();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    console.error(`${red('✗')} ${error.message}`);
    process.exitCode = 1;
  }
}

/** One thing that a tool tests: says whether it holds, and goes on. */
export async function step(title, body) {
  try {
    await body();
    console.log(`${green('✓')} ${title}`);
  } catch (error) {
    process.exitCode = 1;
    console.log(`${red('✗')} ${title}\n${error.stack}`);
  }
}

/** "1.2 s", "3 min 4 s". */
export function seconds(ms) {
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

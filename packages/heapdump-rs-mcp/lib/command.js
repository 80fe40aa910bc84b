// heapdump-rs' own commands, for what has no function: each in a process of its own, answering in JSON.

import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';

import { heapText } from './heap-text.js';
import { Problem } from './problem.js';

const BIN = createRequire(import.meta.url).resolve('heapdump-rs/package.json').replace(/package\.json$/, 'bin/heapdump-rs.js');
const MOST_OUTPUT = 64 * 2 ** 20;

/** What a command prints. It ends with the call that it is for. */
export function runCommand(args, { signal, good = [0] } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [BIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'], signal });
    let [output, said] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
      if (output.length > MOST_OUTPUT) child.kill();
    });
    child.stderr.setEncoding('utf8').on('data', (text) => (said = (said + text).slice(-2000)));
    child.once('error', reject);
    child.once('close', (code) => {
      if (good.includes(code)) resolve(output);
      else reject(new Problem(`heapdump-rs ${args[0]} ended with ${code}: ${heapText(said.trim(), 1000)}`));
    });
  });
}

// Real programs under test: started, listened to, ended.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import limits from '../../harness/limits.cjs';
import { atEndOf } from './files.mjs';

const HOST = fileURLToPath(new URL('../children/host.cjs', import.meta.url));

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const NODE_MAJOR = Number(process.versions.node.split('.')[0]);

/**
 * Starts a program that runs `body` (see children/host.cjs) and is ended with test `t` at the latest.
 *
 * @param {import('node:test').TestContext} t
 * @param {Function} body of the program; it sees nothing of the test but `args`
 * @param {object} [options]
 * @param {object} [options.args] handed to `body`
 * @param {string} [options.cwd]
 * @param {object} [options.env] added to the environment
 * @param {string[]} [options.nodeOptions] of the command line
 * @param {string[]} [options.via] a command that starts the rest of its command line
 * @param {string} [options.node] another Node
 * @param {object} [options.spawn] more options of `spawn`
 */
export function startApp(t, body, options = {}) {
  const { args = {}, nodeOptions = [], node = process.execPath } = options;
  // Bounded memory: a test that goes wrong does not take the machine with it.
  const limit = nodeOptions.some((option) => option.startsWith('--max-old-space-size')) ? [] : ['--max-old-space-size=512'];
  return startProgram(t, [node, ...limit, ...nodeOptions, HOST, body.toString(), JSON.stringify(args)], options);
}

/** The same for any command line. */
export function startProgram(t, command, { cwd, env = {}, via = [], spawn: more } = {}) {
  const { NODE_HEAPDUMP_OPTIONS, NODE_OPTIONS, NODE_TEST_CONTEXT, ...inherited } = process.env;
  const [file, ...rest] = [...via, ...command];
  const started = spawn(file, rest, { cwd, env: { ...inherited, ...env }, stdio: ['ignore', 'pipe', 'pipe'], ...more });
  const app = new App(started);
  atEndOf(t, () => app.stop());
  return app;
}

class App {
  stdout = '';
  stderr = '';
  #process;
  #exit;
  #watchers = new Set();

  constructor(started) {
    this.#process = started;
    for (const name of ['stdout', 'stderr']) {
      started[name]?.setEncoding('utf8').on('data', (text) => {
        this[name] += text;
        for (const watcher of this.#watchers) watcher();
      });
    }
    this.#exit = new Promise((resolve, reject) => {
      started.once('error', reject);
      started.once('close', (code, signal) => resolve({ code, signal, stdout: this.stdout, stderr: this.stderr }));
    });
    this.#exit.catch(() => {});
  }

  get pid() {
    return this.#process.pid;
  }

  /** The program has ended (its output may still be held open by others). */
  get hasEnded() {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  kill(signal) {
    return this.#process.kill(signal);
  }

  /** The end of its standard input, where that is a pipe. */
  closeInput() {
    this.#process.stdin.end();
  }

  /** Something on its standard input, where that is a pipe. */
  writeInput(text) {
    this.#process.stdin.write(text);
  }

  /** One of its further descriptors, where that is a pipe: a Readable. */
  output(descriptor) {
    return this.#process.stdio[descriptor];
  }

  /** What the program wrote once `pattern` is in it: the match. */
  async says(pattern, { on = 'stdout' } = {}) {
    return this.#within(`${pattern} on ${on}`, (resolve) => {
      const look = () => {
        const match = pattern.exec(this[on]);
        if (match) resolve(match);
      };
      this.#watchers.add(look);
      this.#process.once('close', () => setImmediate(() => resolve(null)));
      look();
    }).then((match) => {
      if (match === null) throw new Error(`the program ended without ${pattern} on ${on}\n${this.#transcript()}`);
      return match;
    });
  }

  /** Code, signal and output at the end of the program and its output. */
  ended() {
    return this.#within('its end', (resolve, reject) => this.#exit.then(resolve, reject));
  }

  /** Waits for the program itself, whoever else holds its output. */
  exited() {
    return this.#within('its exit', (resolve) => {
      if (this.hasEnded) resolve();
      else this.#process.once('exit', () => resolve());
    });
  }

  /** What `body` returned; the program must end well. */
  async result() {
    const { code, signal } = await this.ended();
    const line = /^result (.*)$/m.exec(this.stdout);
    const result = line && JSON.parse(line[1]);
    if (code !== 0 || signal !== null || result?.threw) {
      throw new Error(`the program ended with ${code ?? signal}\n${this.#transcript()}`);
    }
    return result?.value;
  }

  /** What `body` returned, while the program may go on. */
  async returned() {
    return JSON.parse((await this.says(/^result (.*)$/m))[1]).value;
  }

  async stop() {
    if (!this.hasEnded) this.#process.kill('SIGKILL');
    this.#process.stdout?.destroy();
    this.#process.stderr?.destroy();
  }

  #within(what, start) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`waited ${limits.WAIT / 1000} s for ${what}\n${this.#transcript()}`));
      }, limits.WAIT);
      const end = (settle) => (value) => {
        clearTimeout(timer);
        settle(value);
      };
      start(end(resolve), end(reject));
    });
  }

  #transcript() {
    return `--- stdout\n${this.stdout}--- stderr\n${this.stderr}---`;
  }
}

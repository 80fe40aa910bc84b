'use strict';

// The program that captures a process from outside (crates/heapimage-outside): started, listened to, ended.

const { spawn } = require('node:child_process');

const { Problem } = require('./command.js');
const { Program } = require('./native-program.js');

const PROGRAM = new Program('heapimage-outside', 'processes are captured from outside on linux-x64', 'load heapdump-rs in the application');

/** It waits for the target's second stop at most, in ms. */
const PATIENCE = 40_000;
/** What it says is kept up to so many characters. */
const MOST_TEXT = 1 << 16;

/** One capture: its image comes from `output`. */
class Tracer {
  /** What was done, by name. */
  facts = {};
  /** Why there is no image: `[word, text]`. */
  stop;
  #process;
  #executable = PROGRAM.executable();
  #end;
  #line = '';

  /** `signal` ends it, as the end of this process does: the target goes on, whenever that is. */
  constructor(args, signal) {
    // In a session of its own: Ctrl-Z must not stop it while the target is stopped.
    this.#process = spawn(this.#executable.path, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: '/', env: testOnly(), detached: true });
    const end = () => this.end();
    process.once('exit', end);
    signal?.addEventListener('abort', end, { once: true });
    if (signal?.aborted) end();
    this.#process.stderr.setEncoding('utf8').on('data', (text) => this.#hear(text));
    this.#end = new Promise((resolve, reject) => {
      this.#process.once('error', (error) => reject(new Problem(`the tracer cannot be started: ${error.message}`)));
      // Its output may be another's by now, who holds it open.
      let open = 2;
      let status;
      const over = () => --open === 0 && resolve(status);
      this.#process.once('exit', (code, name) => over((status = { status: code, signal: name })));
      this.#process.stderr.once('end', over);
    }).finally(() => {
      process.removeListener('exit', end);
      signal?.removeEventListener('abort', end);
      this.#executable.discard();
    });
    this.#end.catch(() => {});
  }

  /** The image, for one reader: this process or another. */
  get output() {
    return this.#process.stdout;
  }

  /** Asks it to end: it takes its copy away first. One that does not is killed, which the target survives. */
  end() {
    this.#process.kill('SIGTERM');
    setTimeout(() => this.#process.kill('SIGKILL'), PATIENCE).unref();
  }

  /** `{status, signal}` once it has ended, and said all. */
  ended() {
    return this.#end;
  }

  #hear(text) {
    const lines = (this.#line + text).slice(0, MOST_TEXT).split('\n');
    this.#line = lines.pop();
    for (const line of lines) {
      const [, kind, word, rest] = /^(is|stop) ([\w-]+): (.*)$/.exec(line) ?? [];
      if (kind === 'is') this.facts[word] = rest;
      if (kind === 'stop') this.stop = [word, rest];
    }
  }
}

/** Nothing of this environment matters to it but where it is to die, if it was built for that (`dying`). */
function testOnly() {
  const { HEAPDUMP_OUTSIDE_DIES: dies } = process.env;
  return dies === undefined ? {} : { HEAPDUMP_OUTSIDE_DIES: dies };
}

/** Whether it is installed for this platform; throws a Problem where it is not. */
const findTracer = () => PROGRAM.find();

module.exports = { Tracer, findTracer };

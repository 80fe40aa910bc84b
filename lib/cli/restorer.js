'use strict';

// The program that makes a process of an image (crates/heapimage-restore): found, started, listened to and ended.

const { spawn } = require('node:child_process');
const fs = require('node:fs');

const { Problem } = require('./command.js');
const { Program } = require('./native-program.js');

/** How often a restored process is looked at, and how long it may sleep without having used a processor, in ms. */
const INTERVAL = 250;
const HUNG_AFTER = 3000;

/** What it says on standard error is kept up to so many characters. */
const MOST_TEXT = 1 << 20;

const PROGRAM = new Program('heapimage-restore', 'heap images are restored on linux-x64', 'copy the image to such a machine');

/** One run of it, of the image that is open as `image`: a descriptor, or a stream of another process' output. */
class Restorer {
  /** What the image is, by name; files it needs are in `files`. */
  image = { files: [] };
  /** What this machine lacks: `[word, text]`. */
  lacks = [];
  /** Why there is no restored process: `[word, text]`. */
  stop;
  /** What the restored process said. */
  said = '';
  hung = false;
  #process;
  #end;
  /** Whether the image's own code runs. */
  hasBegun = false;
  #begun = resolvers();
  /** What it said last, if that was no whole line. */
  line = '';
  #isHeard = false;
  #executable = PROGRAM.executable();
  #isStream;

  /** `signal` ends it. */
  constructor(image, args, signal) {
    this.#isStream = typeof image !== 'number';
    this.#process = spawn(this.#executable.path, args, { stdio: [image, 'pipe', 'pipe'], cwd: '/', env: {} });
    const end = () => this.kill();
    const watch = setInterval(this.#watcher(), INTERVAL);
    process.once('exit', end);
    signal?.addEventListener('abort', end, { once: true });
    if (signal?.aborted) end();
    this.#process.stderr.setEncoding('utf8').on('data', (text) => this.#hear(text)).once('end', () => this.#begun.resolve(false));
    this.#end = new Promise((resolve, reject) => {
      this.#process.once('error', (error) => reject(new Problem(`the restorer cannot be started: ${error.message}`)));
      this.#process.once('close', (status, signal) => resolve({ status, signal }));
    }).finally(() => {
      clearInterval(watch);
      process.removeListener('exit', end);
      signal?.removeEventListener('abort', end);
      this.#executable.discard();
    });
    this.#end.catch(() => {});
  }

  /** Whether it said nothing that a restorer says: something else ran, or nothing. */
  get isSilent() {
    return !this.#isHeard;
  }

  /** What it writes: the snapshot. */
  get output() {
    return this.#process.stdout;
  }

  /** Waits until the image's own code runs: whether it does. */
  begins() {
    return this.#begun.promise;
  }

  kill() {
    this.#process.kill('SIGKILL');
    this.#executable.discard();
  }

  /** `{status, signal}` at its end; one that waits for nobody is ended. */
  ended() {
    return this.#end;
  }

  #hear(text) {
    this.line += text;
    while (!this.hasBegun) {
      const end = this.line.indexOf('\n');
      if (end < 0) return;
      this.#tell(this.line.slice(0, end));
      this.line = this.line.slice(end + 1);
    }
    this.said = (this.said + this.line).slice(0, MOST_TEXT);
    this.line = '';
  }

  #tell(line) {
    if (line === 'begins') {
      this.hasBegun = true;
      this.#begun.resolve(true);
    }
    const [, kind, word, text] = /^(is|lacks|stop) ([\w-]+): (.*)$/.exec(line) ?? [];
    if (kind === undefined && !this.hasBegun) this.said = (this.said + line + '\n').slice(0, MOST_TEXT);
    else this.#isHeard = true;
    if (kind === 'lacks') this.lacks.push([word, text]);
    if (kind === 'stop') this.stop = [word, text];
    if (kind === 'is' && word === 'file') this.image.files.push(text);
    else if (kind === 'is') this.image[word] = text;
  }

  /** A process asleep without CPU, of which all output has been read, waits for a thread that does not exist. */
  #watcher() {
    let last = '';
    let since = Date.now();
    return () => {
      const seen = this.#vitals();
      const waitsForUs = this.output.readableLength > 0;
      const waitsForImage = this.#isStream && !this.hasBegun;
      if (seen === undefined || waitsForUs || waitsForImage || seen !== last || !seen.startsWith('S')) {
        last = seen;
        since = Date.now();
      } else if (Date.now() - since > HUNG_AFTER) {
        this.hung = true;
        this.kill();
      }
    };
  }

  /** State and processor time (proc(5), stat). */
  #vitals() {
    try {
      const text = fs.readFileSync(`/proc/${this.#process.pid}/stat`, 'utf8');
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
      return [fields[0], fields[11], fields[12], this.output.bytesRead].join(' ');
    } catch {
      return undefined;
    }
  }
}

/** Promise.withResolvers, which Node.js 20 does not have. */
function resolvers() {
  let resolve;
  const promise = new Promise((given) => (resolve = given));
  return { promise, resolve };
}

module.exports = { Restorer };

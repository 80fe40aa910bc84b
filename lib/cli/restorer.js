'use strict';

// The program that makes a process of an image (crates/heapimage-restore): found, started, listened to and ended.

const { spawn } = require('node:child_process');
const fs = require('node:fs');

const { Problem } = require('./command.js');
const { Program } = require('./native-program.js');

/** How often a restored process is looked at, and how long it may sleep without having used a processor, in ms. */
const INTERVAL = 250;
const HUNG_AFTER = 3000;

/**
 * The processor time that it may use for nothing, in s: to come to a place where a snapshot can be taken, where a long call of the
 * application's may have to end first; and for the snapshot, until the first bytes or the next, by the memory that it has. V8 takes
 * 10 to 40 s for a gigabyte.
 */
const SPUN_BEFORE = 30;
const SPUN_AFTER = 60;
const SPUN_PER_GB = 600;
/** Clock ticks in a second, and bytes in a page (sysconf(3)), on x64. */
const TICKS = 100;
const PAGE = 4096;

/** What it says on standard error is kept up to so many characters. */
const MOST_TEXT = 1 << 20;

const PROGRAM = new Program('heapimage-restore', 'heap images are restored on linux-x64', 'copy the image to such a machine');

const TAKES = /^takes\n/m;

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
  /** It used the processor without coming to an end; `hung` is so then, too. */
  spun = false;
  /** Whether V8 has begun with the snapshot. */
  isTaking = false;
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
    // The addon's own child was at that place already.
    if (this.image.origin !== 'core') this.isTaking = true;
    else if (!this.isTaking && TAKES.test(this.said)) {
      this.isTaking = true;
      this.said = this.said.replace(TAKES, '');
    }
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

  /** A process asleep without CPU, of which all output has been read, waits for a thread that does not exist. One that only uses the CPU may wait so, too. */
  #watcher() {
    let last = '';
    let since = Date.now();
    let stage = '';
    let spentBefore = 0;
    return () => {
      const { state, spent, memory } = this.#vitals() ?? {};
      const seen = `${state} ${spent} ${this.output.bytesRead}`;
      const waitsForUs = this.output.readableLength > 0;
      const waitsForImage = this.#isStream && !this.hasBegun;
      if (state === undefined || waitsForUs || waitsForImage || seen !== last || state !== 'S') {
        last = seen;
        since = Date.now();
      } else if (Date.now() - since > HUNG_AFTER) {
        this.hung = true;
        this.kill();
      }
      const now = `${this.hasBegun} ${this.isTaking} ${this.output.bytesRead}`;
      if (now !== stage || spent === undefined) [stage, spentBefore] = [now, spent ?? 0];
      const most = this.isTaking ? SPUN_AFTER + (SPUN_PER_GB * memory) / 1e9 : SPUN_BEFORE;
      if (this.hasBegun && !waitsForUs && spent - spentBefore > most) {
        this.hung = true;
        this.spun = true;
        this.kill();
      }
    };
  }

  /** The state of all threads (`S` if all are asleep), their processor time in s, and resident memory in bytes (proc(5), stat). */
  #vitals() {
    const directory = `/proc/${this.#process.pid}`;
    const read = (file) => {
      const text = fs.readFileSync(file, 'utf8');
      return text.slice(text.lastIndexOf(')') + 2).split(' ');
    };
    try {
      const fields = read(`${directory}/stat`);
      // One that waits for the disk, or for a processor, is at work, whoever waits for it.
      const states = fs.readdirSync(`${directory}/task`).map((thread) => read(`${directory}/task/${thread}/stat`)[0]);
      const state = states.every((each) => each === 'S') ? 'S' : states.join('');
      return { state, spent: (Number(fields[11]) + Number(fields[12])) / TICKS, memory: Number(fields[21]) * PAGE };
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

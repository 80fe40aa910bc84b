'use strict';

// Other processes, as Linux shows them in /proc (proc(5)).

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { Problem, printable } = require('./command.js');
const { isAsStarted, mayBeOptions, splitNodeOptions } = require('./command-line.js');
const { isNode } = require('./executable.js');
const { readFacts } = require('./facts.js');
const { listening } = require('./sockets.js');

/** One process that may be looked at. */
class Target {
  /** Throws a Problem when there is none, or not for us. */
  constructor(pid) {
    if (process.platform !== 'linux') throw new Problem('--pid needs /proc, which Linux alone has; use --endpoint');
    this.pid = pid;
    this.#exists();
    try {
      this.start = this.stat().start;
      fs.readdirSync(this.at('fd'));
      fs.readlinkSync(this.at('cwd'));
      this.maps = this.read('maps');
    } catch (error) {
      if (error.code === 'ENOENT' || error.code === 'ESRCH') throw new Problem(this.#isGone());
      throw new Problem(this.#refusal());
    }
  }

  #exists() {
    try {
      process.kill(this.pid, 0);
    } catch (error) {
      if (error.code === 'ESRCH') throw new Problem(`no such process: ${this.pid}`);
      if (error.code === 'EPERM') throw new Problem(this.#refusal());
      throw error;
    }
  }

  #isGone() {
    return this.isRunning()
      ? `process ${this.pid} has no memory of its own: it is no Node process`
      : `process ${this.pid} has ended`;
  }

  #refusal() {
    let owner = 'somebody else';
    try {
      owner = userName(fs.statSync(`/proc/${this.pid}`).uid);
    } catch {
      // /proc is mounted with hidepid.
    }
    if (process.geteuid() === 0)
      return `not permitted: the system keeps process ${this.pid} of ${owner} even from root`;
    return `not permitted: process ${this.pid} belongs to ${owner}; ask as that user, or as root`;
  }

  at(...names) {
    return path.join(`/proc/${this.pid}`, ...names);
  }

  read(name) {
    return fs.readFileSync(this.at(name), 'utf8');
  }

  /** A path of its own file system, as we reach it: it may be in a container. */
  file(name) {
    return this.at('root', name);
  }

  stat() {
    const text = this.read('stat');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return {
      name: text.slice(text.indexOf('(') + 1, text.lastIndexOf(')')),
      state: fields[0],
      parent: Number(fields[1]),
      start: fields[19],
    };
  }

  /** When it was started, in ms since 1970, give or take a clock tick (USER_HZ is 100 for all programs). */
  startedAt() {
    const ticks = Number(this.stat().start);
    let [now, uptime, took] = [0, 0, Infinity];
    // Both clocks at one moment: this process may be interrupted between.
    for (let i = 0; i < 10 && took > 2; i++) {
      now = Date.now();
      uptime = Number(fs.readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
      took = Date.now() - now;
    }
    return now - (uptime - ticks / 100) * 1000;
  }

  /** Whether it is still this very process, and not a zombie or another with its number. */
  isRunning() {
    try {
      const { state, start } = this.stat();
      return state !== 'Z' && state !== 'X' && (this.start === undefined || start === this.start);
    } catch {
      return false;
    }
  }

  /** A line of its status. */
  status(name) {
    return new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(this.read('status'))?.[1];
  }

  /** Kilobyte lines of its status, in bytes. */
  memory(name) {
    return Number.parseInt(this.status(name) ?? '0', 10) * 1024;
  }

  commandLine() {
    return this.read('cmdline').split('\0').slice(0, -1);
  }

  /** A variable of the environment that it was started with. */
  variable(name) {
    const found = this.read('environ')
      .split('\0')
      .find((entry) => entry.startsWith(`${name}=`));
    return found?.slice(name.length + 1);
  }

  catches(signal) {
    const bit = 1n << BigInt(os.constants.signals[signal] - 1);
    return (BigInt(`0x${this.status('SigCgt')}`) & bit) !== 0n;
  }

  /** Whether that is what it was started with. */
  hasItsCommandLine() {
    return isAsStarted(this.read('cmdline'), fs.readlinkSync(this.at('exe')).replace(/ \(deleted\)$/, ''));
  }

  /** Options for Node, from its command line and its environment; a value may be among them that is the next word. */
  nodeOptions() {
    return [...splitNodeOptions(this.variable('NODE_OPTIONS') ?? ''), ...mayBeOptions(this.commandLine().slice(1))];
  }

  isNode() {
    return isNode(this.at('exe')) || /\/libnode\.so[^/]*$/m.test(this.maps);
  }

  /** Whether it says so, or this package's binary is loaded in it. */
  hasLoadedPackage(facts = this.facts()) {
    return facts !== undefined || /\/heapdump-rs\.[^/\n]*\.node( \(deleted\))?$/m.test(this.maps);
  }

  /** What it says of itself; undefined where it has not loaded the package, or can show no page (facts.js). */
  facts() {
    return readFacts(this.pid);
  }

  /** The signal that is safe to send for a dump: it ends a process that does not catch it. */
  dumpSignal(facts = this.facts()) {
    return facts?.signal !== undefined && this.catches(facts.signal) ? facts.signal : undefined;
  }

  /** Open files: `[descriptor, target]`. */
  *openFiles() {
    for (const number of fs.readdirSync(this.at('fd'))) {
      try {
        yield [number, fs.readlinkSync(this.at('fd', number))];
      } catch {
        // Closed meanwhile.
      }
    }
  }

  /** TCP sockets that it listens on: `{host, port, inode}`. */
  listeners() {
    const own = new Set();
    for (const [, target] of this.openFiles()) {
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      if (inode !== undefined) own.add(inode);
    }
    return listening(`/proc/${this.pid}/net`).filter(({ inode }) => own.has(inode));
  }

  sharesNetwork() {
    return fs.readlinkSync(this.at('ns/net')) === fs.readlinkSync('/proc/self/ns/net');
  }

  describe() {
    return `${this.pid} (${printable(this.commandLine().join(' ') || this.stat().name, 60)})`;
  }
}

/** Runs `body`; what /proc no longer has of a process that ended meanwhile is said as that. */
async function whileItRuns(target, body) {
  try {
    return await body();
  } catch (error) {
    if (error instanceof Problem || target.isRunning()) throw error;
    throw new Problem(`process ${target.pid} has ended`);
  }
}

/** The process that listens on a loopback port of ours, where we may see it. */
function findListener(port) {
  const inodes = new Set(
    listening('/proc/self/net')
      .filter((socket) => socket.port === port)
      .map(({ inode }) => `socket:[${inode}]`),
  );
  for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const target = new Target(Number(pid));
      for (const [, file] of target.openFiles()) if (inodes.has(file)) return target;
    } catch {
      // Not ours to see, or gone.
    }
  }
  return undefined;
}

function userName(uid) {
  try {
    const line = fs
      .readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((entry) => entry.split(':')[2] === `${uid}`);
    if (line) return line.split(':')[0];
  } catch {
    // No names here.
  }
  return `user ${uid}`;
}

module.exports = { Target, findListener, userName, whileItRuns };

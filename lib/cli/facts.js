'use strict';

// What a process that has loaded the package says of itself: a page of memory that src/facts/ writes and that is found
// among its descriptors by name. Whoever may look at the process may read it; the process is not asked and notices nothing.
//
// It is that process' word, and no more is believed of it: its shape is checked, and what it is used for is looked at again.

const fs = require('node:fs');
const path = require('node:path');
const { getSystemErrorName } = require('node:util');

const { identityOf, openFile } = require('./inside.js');

/**
 * @typedef {object} Facts
 * @property {number} pid as we see it
 * @property {string} version of the package
 * @property {number} loadedAt when it was loaded, in ms since 1970
 * @property {string} [signal] that this package answers there now: none under `nosignal`, without the main entry, and while
 *   it is handed over
 * @property {string} directory where the signal's dumps go, absolute in its own file system
 * @property {'dir=' | '--diagnostic-dir'} [directoryFrom] who said so; the process' own directory otherwise
 * @property {'fork' | 'inline'} mode of the signal's dumps
 * @property {'gzip' | 'zstd'} [compression] of the signal's dumps
 * @property {'snapshot' | 'image'} output of the signal's dumps
 * @property {'error' | 'image'} lowMemory what they are where there is too little for a snapshot
 * @property {'texts' | 'paths'} [redact] all that the process writes is redacted
 * @property {readonly string[]} [encrypt] recipients of age, who alone may read what the process writes; none: it writes nothing
 * @property {{loaded: number, dumped: number, main: boolean}} threads that have loaded the package, that one signal dumps, and
 *   whether the main thread is one of them
 * @property {boolean} nearHeapLimit a thread takes a snapshot at V8's limit
 * @property {number} monitors that watch its memory
 * @property {number} [heapLimit] V8's, of the thread that loaded the package first, in bytes
 * @property {number} signals that have been answered
 * @property {readonly Snapshot[]} snapshots that run or wait, and the last ones before; the oldest first
 * @property {Snapshot} [lastSnapshot] that runs, or was asked for last
 */

/**
 * @typedef {object} Snapshot
 * @property {number} number of the snapshot in its process, from 1
 * @property {'call' | 'signal' | 'oom' | 'monitor'} cause
 * @property {'waiting' | 'running' | 'complete' | 'failed'} state
 * @property {boolean} main whether it is of the main thread
 * @property {string} [path] absolute in its own file system: where the file is, or will be when it is complete; none of a stream
 * @property {string} [file] its open file: 'device:inode', in decimal as stat(2) has them
 * @property {number} askedAt in ms since 1970
 * @property {number} [endedAt] in ms since 1970
 * @property {number} [bytes] of the complete file
 * @property {string} [code] why it failed: of the package (docs/errors.md) or of the system, such as EACCES
 * @property {string} [message] the same in words
 */

/** As src/facts/page.rs has them. */
const NAME = /^\/memfd:heapdump-rs( \(deleted\))?$/;
const MAGIC = 'HEAPDUMP';
const FORMAT = 1;
const HEADER_SIZE = 64;
const SLOT_SIZE = 16_384;
const SIZE = HEADER_SIZE + 2 * SLOT_SIZE;

/** A page that is written without a pause cannot be read. */
const PATIENCE_MS = 250;
/** Copies of the package in one process; what looks like more is there to keep the reader busy. */
const MOST_PAGES = 8;

/**
 * What process `pid` says of itself; undefined where it has not loaded the package, may not be looked at, or could make no page
 * (a seccomp filter, a kernel before 3.17, another system, a version without it).
 * @param {number} pid
 * @returns {Readonly<Facts> | undefined}
 */
function readFacts(pid) {
  const page = FactsPage.of(pid);
  try {
    return page?.read();
  } finally {
    page?.close();
  }
}

/** The page of one process, to be read as often as one likes; `close` it. */
class FactsPage {
  #pid;
  #descriptor;

  constructor(pid, descriptor) {
    this.#pid = pid;
    this.#descriptor = descriptor;
  }

  /** Of several copies of the package in a process the one that answers the signal. */
  static of(pid) {
    const found = [];
    const deadline = performance.now() + PATIENCE_MS;
    for (const descriptor of pagesOf(pid)) {
      const page = new FactsPage(pid, descriptor);
      const facts = page.read(deadline);
      if (facts === undefined) page.close();
      else found.push({ page, facts });
    }
    const rank = ({ facts: { signal, threads } }) => 2 * (signal !== undefined) + threads.main;
    found.sort((a, b) => rank(b) - rank(a) || a.facts.loadedAt - b.facts.loadedAt);
    for (const { page } of found.slice(1)) page.close();
    return found[0]?.page;
  }

  /** @returns {Readonly<Facts> | undefined} undefined when it is none that we know, or the process has ended */
  read(deadline = performance.now() + PATIENCE_MS) {
    try {
      const said = readSlot(this.#descriptor, deadline);
      // A process that was forked without exec has its parent's page.
      return said !== undefined && said.pid === ownPid(this.#pid) ? factsOf(this.#pid, said) : undefined;
    } catch {
      return undefined;
    }
  }

  /**
   * Whether a process with these users has made it. One that somebody has started with another user's rights (sudo) inherits their
   * descriptors, perhaps a page that they go on writing, and not their memory.
   */
  isOf(users) {
    const { uid, ino } = fs.fstatSync(this.#descriptor, { bigint: true });
    if (users.every((user) => user === Number(uid))) return true;
    // It may have given up its first user.
    const mapped = new RegExp(` ${ino} +/memfd:heapdump-rs( \\(deleted\\))?$`, 'm');
    return mapped.test(fs.readFileSync(`/proc/${this.#pid}/maps`, 'utf8'));
  }

  close() {
    fs.closeSync(this.#descriptor);
  }
}

/** Descriptors of ours, for what looks like a page by its name; its files may be called so too, in a root directory of its own. */
function* pagesOf(pid) {
  const directory = `/proc/${pid}/fd`;
  let numbers = [];
  try {
    numbers = fs.readdirSync(directory);
  } catch {
    // Not ours to see, gone, or not Linux.
  }
  const seen = new Set();
  const isNewPage = (stat) => stat.size === BigInt(SIZE) && seen.size < seen.add(identityOf(stat)).size;
  for (const number of numbers) {
    if (seen.size === MOST_PAGES) return;
    const at = `${directory}/${number}`;
    let descriptor;
    try {
      if (NAME.test(fs.readlinkSync(at))) descriptor = openFile(at, isNewPage);
    } catch {
      // Closed meanwhile, or not ours to read.
    }
    if (descriptor !== undefined) yield descriptor;
  }
}

/**
 * The text of the slot that was written last, which stays as it is until two more have been. The header counts them: when it has
 * not moved, what was read between is of one piece.
 */
function readSlot(descriptor, deadline) {
  const header = Buffer.alloc(HEADER_SIZE);
  const slot = Buffer.alloc(SLOT_SIZE);
  do {
    fs.readSync(descriptor, header, 0, HEADER_SIZE, 0);
    if (header.toString('latin1', 0, 8) !== MAGIC || number32(header, 8) !== FORMAT) return undefined;
    const count = number64(header, 16);
    fs.readSync(descriptor, slot, 0, SLOT_SIZE, HEADER_SIZE + Number(count % 2n) * SLOT_SIZE);
    fs.readSync(descriptor, header, 0, HEADER_SIZE, 0);
    if (number64(header, 16) !== count) continue;
    const length = number32(slot, 0);
    return length <= SLOT_SIZE - 4 ? JSON.parse(slot.toString('utf8', 4, 4 + length)) : undefined;
  } while (performance.now() < deadline);
  return undefined;
}

const littleEndian = require('node:os').endianness() === 'LE';
const number32 = (buffer, at) => (littleEndian ? buffer.readUInt32LE(at) : buffer.readUInt32BE(at));
const number64 = (buffer, at) => (littleEndian ? buffer.readBigUInt64LE(at) : buffer.readBigUInt64BE(at));

/** Its pid in its own namespace, which is the one that it knows; without namespaces there is no such line. */
function ownPid(pid) {
  const numbers = /^NSpid:\s*(.*)$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return numbers === undefined ? pid : Number(numbers.split(/\s+/).at(-1));
}

function factsOf(pid, said) {
  const { version, loadedAt, signal, directory, mode, compression, threads, nearHeapLimit, monitors } = said;
  const snapshots = Object.freeze(list(said.snapshots, 64).map(snapshotOf));
  return Object.freeze({
    pid,
    version: matching(version, /^[\w.+-]{1,64}$/),
    loadedAt: count(loadedAt),
    signal: optional(signal, (name) => matching(name, /^SIG(USR[12]|HUP|QUIT)$/)),
    // The process may have changed its directory, and a dump goes where it is then.
    directory: path.resolve(fs.readlinkSync(`/proc/${pid}/cwd`), text(directory)),
    directoryFrom: optional(said.directoryFrom, (who) => matching(who, /^(dir=|--diagnostic-dir)$/)),
    mode: matching(mode, /^(fork|inline)$/),
    compression: optional(compression, (name) => matching(name, /^(gzip|zstd)$/)),
    // Versions before images do not say.
    output: matching(said.output ?? 'snapshot', /^(snapshot|image)$/),
    lowMemory: matching(said.lowMemory ?? 'error', /^(error|image)$/),
    redact: optional(said.redact, (what) => matching(what, /^(texts|paths)$/)),
    encrypt: optional(said.encrypt, (all) => Object.freeze(list(all, 64).map((one) => matching(one, /^age1[a-z0-9]{1,100}$/)))),
    threads: Object.freeze({ loaded: count(threads.loaded), dumped: count(threads.dumped), main: flag(threads.main) }),
    nearHeapLimit: flag(nearHeapLimit),
    monitors: count(monitors),
    heapLimit: optional(said.heapLimit, count),
    signals: count(said.signals),
    snapshots,
    lastSnapshot: snapshots.find(({ state }) => state === 'running') ?? snapshots.at(-1),
  });
}

function snapshotOf(said) {
  const { number, cause, state, main, askedAt, endedAt, bytes, file, errno, code, message } = said;
  return Object.freeze({
    number: count(number),
    cause: matching(cause, /^(call|signal|oom|monitor)$/),
    state: matching(state, /^(waiting|running|complete|failed)$/),
    main: flag(main),
    path: optional(said.path, (name) => matching(name, /^\//)),
    file: optional(file, (id) => matching(id, /^\d{1,20}:\d{1,20}$/)),
    askedAt: count(askedAt),
    endedAt: optional(endedAt, count),
    bytes: optional(bytes, count),
    code: optional(code, (name) => matching(name, /^\w{1,64}$/)) ?? optional(errno, (n) => getSystemErrorName(-count(n))),
    message: optional(message, text),
  });
}

const optional = (value, read) => (value === undefined || value === null ? undefined : read(value));
const flag = (value) => expect(value, typeof value === 'boolean');
const text = (value) => expect(value, typeof value === 'string');
const count = (value) => expect(value, Number.isSafeInteger(value) && value >= 0);
const matching = (value, pattern) => expect(value, typeof value === 'string' && pattern.test(value));
const list = (value, most) => expect(value, Array.isArray(value) && value.length <= most);

function expect(value, isSo) {
  if (!isSo) throw new TypeError('this is no page of facts');
  return value;
}

module.exports = { FactsPage, readFacts };

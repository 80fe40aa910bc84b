'use strict';

// A snapshot of a process that has loaded the package: its signal is sent, and its page of facts (facts.js) says what answers it:
// which open file, by device and inode, and where that will stand. Nothing depends on the name that it has until then.

const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: delay } = require('node:timers/promises');

const { IMAGE_NAME } = require('../extensions.js');
const { Problem, printable, size } = require('./command.js');
const { FactsPage } = require('./facts.js');
const { Inside, identityOf, openFile } = require('./inside.js');
const { plainly } = require('./output.js');
const { userName } = require('./processes.js');

/** The signal is answered by a thread of its own, at once unless the process is stopped. */
const ANSWER_LIMIT_MS = 30_000;
/** Without its process a dump that does not grow for so long will never be whole. */
const ORPHAN_LIMIT_MS = 60_000;
/** A signal is answered by the snapshot of the one before it, if that is not older. */
const RECENT_MS = 2_000;
/** Longer than signals are one request (`ONE_REQUEST` of src/signal.rs). */
const ASK_AGAIN_MS = 1_200;
const TRIES = 5;
const LOOK_MS = 2;
const WATCH_MS = 25;

/**
 * @param {import('./processes.js').Target} target that answers `name`, as its page says
 * @param {string} name of the signal
 */
async function bySignal(target, name, output, progress, signal) {
  const page = FactsPage.of(target.pid);
  const inside = new Inside(target.pid);
  let dump;
  try {
    dump = await begun({ target, page, inside, name, wantsImage: output.wantsImage, signal });
    dump.path = await complete(target, page, inside, dump, progress, signal);
    const counts = await copy(dump, output, progress, signal);
    removeOriginal(inside, dump, progress);
    return counts;
  } finally {
    if (dump !== undefined) fs.closeSync(dump.fd);
    page?.close();
    inside.close();
  }
}

/** The dump that answers the signal, opened by us too: from here on it cannot be missed. */
async function begun(asking) {
  for (let tries = 0; tries < TRIES; tries++) {
    const dump = await answered(asking);
    if (dump !== undefined) return dump;
    // Whoever asked for it a moment before us has taken it already. Later, ours is a request of its own.
    await delay(ASK_AGAIN_MS, undefined, { signal: asking.signal }).catch(() => {
      throw new Problem('the time of --timeout is over');
    });
  }
  const { pid } = asking.target;
  throw new Problem(`process ${pid} is asked for dumps by others all the time, who take them away: try again later`);
}

/** Sends the signal, and gives what answers it; undefined where that is over and gone. */
async function answered({ target, page, inside, name, wantsImage, signal }) {
  const before = page?.read();
  if (before === undefined) throw new Problem(`process ${target.pid} has ended, or no longer says how it is asked`);
  const newest = before.snapshots.at(-1)?.number ?? 0;
  const sent = Date.now();
  // Its number may be another's by now, and a signal that is not caught ends a process.
  if (!target.isRunning()) throw new Problem(`process ${target.pid} has ended`);
  if (wantsImage && before.output !== 'image') throw new Problem(noImage(target, before));
  if (before.signal !== name || !target.catches(name))
    throw new Problem(`process ${target.pid} no longer answers ${name}, which is not sent`);
  try {
    process.kill(target.pid, name);
  } catch (error) {
    throw new Problem(`cannot send ${name} to process ${target.pid}: ${plainly(error)}`);
  }
  const deadline = performance.now() + ANSWER_LIMIT_MS;
  for (;;) {
    const facts = page.read();
    if (facts === undefined || !target.isRunning())
      throw new Problem(`process ${target.pid} has ended before it began a dump`);
    if (facts.signals > before.signals) {
      const answer = answerOf(facts, newest, sent);
      if (answer === undefined) {
        throw new Problem(`process ${target.pid} was sent ${name} and begins no dump: it is about to exit`);
      }
      const fd = open(target, page, inside, answer);
      if (fd !== undefined) return { ...answer, fd };
      if (answer.state === 'complete') return undefined;
    } else if (performance.now() > deadline) {
      throw new Problem(silence(target, name));
    }
    if (signal?.aborted) throw new Problem('the time of --timeout is over');
    await delay(LOOK_MS);
  }
}

/** The snapshot that a signal began or `joined`, of the main thread if it is dumped; `further`: others that it began. */
function answerOf(facts, newest, sent) {
  const ofSignals = facts.snapshots.filter(({ cause }) => cause === 'signal');
  const fresh = ofSignals.filter(({ number }) => number > newest);
  if (fresh.length > 0) {
    const own = fresh.find(({ main }) => main) ?? fresh[0];
    return { ...own, joined: false, further: fresh.length - 1 };
  }
  const recent = ofSignals.filter(({ endedAt, askedAt }) => endedAt === undefined || askedAt > sent - RECENT_MS);
  const joined = recent.findLast(({ main }) => main) ?? recent.at(-1);
  return joined && { ...joined, joined: true, further: 0 };
}

/** A descriptor of the dump's file; undefined where it is between two places, or was another's and is gone. */
function open(target, page, inside, { state, file, path: name, message, code, joined }) {
  if (state === 'failed') throw gaveUp(target, { message, code });
  const isComplete = state === 'complete';
  const isDump = (stat) => identityOf(stat) === file && isOwn(target, page, stat, name);
  let fd;
  try {
    fd = isComplete ? inside.open(name, isDump) : openAmongIts(target, isDump);
  } catch (error) {
    if (error instanceof Problem) throw error;
    const mayBe = error.code === 'ENOENT' || (!isComplete && error.code === 'ENXIO');
    if (!mayBe || (isComplete && !joined)) throw new Problem(`cannot read the dump of process ${target.pid}: ${plainly(error)}`);
  }
  if (fd === undefined && isComplete && !joined)
    throw new Problem(`the dump of process ${target.pid} is no longer at ${printable(name)}`);
  return fd;
}

function openAmongIts(target, isDump) {
  for (const [number] of target.openFiles()) {
    try {
      const fd = openFile(target.at('fd', number), isDump);
      if (fd !== undefined) return fd;
    } catch (error) {
      // It was closed meanwhile.
      if (error.code !== 'ENOENT') throw error;
    }
  }
  return undefined;
}

/**
 * A dump belongs to its process. What belongs to somebody else may be named to have root copy and remove it. Nobody asks a process
 * of their own user for more than they may themselves, and there are file systems that say another owner (NFS with root_squash).
 */
function isOwn(target, page, { uid }, name) {
  // Real, effective, saved, and of the file system (proc(5)).
  const its = target.status('Uid').split(/\s+/).map(Number);
  if (!page.isOf(its)) throw new Problem(`what process ${target.pid} says of itself was written by somebody else`);
  if (its.includes(Number(uid)) || its.every((each) => each === process.geteuid())) return true;
  const whose = `belongs to ${userName(Number(uid))}`;
  throw new Problem(`${printable(name)}, which process ${target.pid} says is its dump, ${whose}, and is left alone`);
}

/** A signal says nothing but that a dump is wanted. */
const noImage = (target, { lowMemory }) =>
  `process ${target.pid} was not told to write images: NODE_HEAPDUMP_OPTIONS=image when it starts makes its dumps ones` +
  (lowMemory === 'image' ? '; it writes one where memory is short (low-memory=image), so ask for a .heapsnapshot' : '');

const gaveUp = (target, { message = 'it does not say why', code }) =>
  new Problem(`process ${target.pid} gave the dump up: ${printable(message)}${code ? ` (${code})` : ''}`);

function silence(target, name) {
  const state = target.stat().state;
  if (state === 'T' || state === 't')
    return `process ${target.pid} is stopped (SIGSTOP, or a debugger): let it continue`;
  return `process ${target.pid} was sent ${name}, and its thread that answers has not seen it for ${ANSWER_LIMIT_MS / 1000} s`;
}

/** Waits until the dump is whole and on the disk, as its process says, or because it stands under its name; gives that. */
async function complete(target, page, inside, dump, progress, signal) {
  let last = { bytes: -1, at: performance.now() };
  for (;;) {
    const said = page.read()?.snapshots.find(({ number }) => number === dump.number);
    if (said?.state === 'complete') {
      // A copy may stand in its place.
      dump.file = said.file;
      return said.path;
    }
    // Where memory is short it becomes an image, with another name.
    dump.path = said?.path ?? dump.path;
    if (said === undefined && inside.identify(dump.path) === dump.file) return dump.path;
    if (said?.state === 'failed') throw gaveUp(target, said);
    const { size: bytes } = fs.fstatSync(dump.fd);
    progress.show(bytes === 0 ? 'V8 takes the snapshot …' : `${size(bytes)} written`);
    if (bytes !== last.bytes) last = { bytes, at: performance.now() };
    // Its child may go on alone.
    if (performance.now() - last.at > ORPHAN_LIMIT_MS && !target.isRunning()) {
      throw new Problem(`process ${target.pid} has ended, and its dump with it`);
    }
    if (signal?.aborted) {
      throw new Problem(`the time of --timeout is over; process ${target.pid} goes on writing ${printable(dump.path)}`);
    }
    await delay(WATCH_MS);
  }
}

async function copy(dump, output, progress, signal) {
  try {
    const isImage = IMAGE_NAME.test(dump.path);
    return await output.receive(bytesOf(dump.fd), (bytes) => progress.show(`${size(bytes)} copied`), signal, isImage);
  } catch (error) {
    if (error instanceof Problem) error.message += `; the process' own copy stays: ${printable(dump.path)}`;
    throw error;
  }
}

/** Not a ReadStream, which closes the descriptor on an error at a time of its own. */
async function* bytesOf(fd) {
  for (let position = 0; ;) {
    const chunk = Buffer.allocUnsafe(1 << 18);
    const read = fs.readSync(fd, chunk, 0, chunk.length, position);
    if (read === 0) return;
    position += read;
    yield chunk.subarray(0, read);
  }
}

/** It has been copied, and nobody else looks for it. */
function removeOriginal(inside, dump, progress) {
  try {
    if (!dump.joined) inside.remove(dump.path, dump.file);
    else if (inside.identify(dump.path) === dump.file)
      progress.say(`the process' own copy stays: ${printable(dump.path)} (another signal asked for it)`);
  } catch (error) {
    progress.say(`the process' own copy stays: ${printable(dump.path)} (${plainly(error)})`);
  }
  if (dump.further > 0)
    progress.say(`${dump.further} more of its threads write theirs into ${printable(path.dirname(dump.path))}`);
}

module.exports = { bySignal };

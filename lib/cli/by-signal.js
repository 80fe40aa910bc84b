'use strict';

// A snapshot of a process that has loaded the package: its signal is sent, and its answer is the file that it opens, seen
// among its descriptors. Nothing is guessed from names or times in a directory that others may share.

const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: delay } = require('node:timers/promises');

const { Problem, printable, size } = require('./command.js');
const { plainly } = require('./output.js');

/** A dump of the signal that is being written (`FileTarget::reserve` of src/snapshot/target.rs). */
const RESERVED = /^\.(heapdump-\d+\.\d+\.heapsnapshot(?:\.gz|\.zst)?)\.tmp$/;

/** The signal is answered by a thread of its own, at once unless the process is stopped. */
const ANSWER_LIMIT_MS = 30_000;
/** Without its process a dump that does not grow for so long will never be whole. */
const ORPHAN_LIMIT_MS = 60_000;
const LOOK_MS = 2;
const WATCH_MS = 25;

/**
 * @param {import('./processes.js').Target} target
 * @param {string} name of the signal
 */
async function bySignal(target, name, output, progress, signal) {
  const earlier = new Set(dumps(target).map(({ id }) => id));
  try {
    process.kill(target.pid, name);
  } catch (error) {
    throw new Problem(`cannot send ${name} to process ${target.pid}: ${plainly(error)}`);
  }
  const dump = await begun(target, name, earlier, signal);
  try {
    await complete(target, dump, progress, signal);
    const counts = await copy(dump, output, progress, signal);
    removeOriginal(target, dump, progress);
    return counts;
  } finally {
    fs.closeSync(dump.fd);
  }
}

/** Dumps that the process has open, by the order of their names: that is by age. */
function dumps(target) {
  const found = [];
  for (const [number, file] of target.openFiles()) {
    const [, name] = RESERVED.exec(path.basename(file)) ?? [];
    if (name === undefined) continue;
    try {
      const { dev, ino } = fs.statSync(target.at('fd', number));
      const id = `${dev}:${ino}`;
      if (!found.some((other) => other.id === id)) found.push({ id, name, number, directory: path.dirname(file) });
    } catch {
      // Complete meanwhile.
    }
  }
  return found.sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }));
}

/** The dump that the signal began, opened by us too: from here on it cannot be missed. */
async function begun(target, name, earlier, signal) {
  const deadline = performance.now() + ANSWER_LIMIT_MS;
  for (;;) {
    if (!target.isRunning()) throw new Problem(`process ${target.pid} has ended before it began a dump`);
    const all = dumps(target);
    const fresh = all.filter(({ id }) => !earlier.has(id));
    // One at work and one behind it are all that a thread accepts (src/signal.rs): the later one is what we would get.
    const dump = fresh[0] ?? (all.length >= 2 ? all.at(-1) : undefined);
    if (dump !== undefined) {
      try {
        const fd = fs.openSync(target.at('fd', dump.number), 'r');
        const { dev, ino } = fs.fstatSync(fd);
        if (dump.id === `${dev}:${ino}`) return { ...dump, fd, further: fresh.length - 1 };
        fs.closeSync(fd);
      } catch (error) {
        if (error.code !== 'ENOENT' && error.code !== 'ENXIO') {
          throw new Problem(`cannot read the dump of process ${target.pid}: ${plainly(error)}`);
        }
      }
    }
    if (performance.now() > deadline) throw new Problem(silence(target, name));
    if (signal?.aborted) throw new Problem('the time of --timeout is over');
    await delay(LOOK_MS);
  }
}

function silence(target, name) {
  const state = target.stat().state;
  if (state === 'T' || state === 't')
    return `process ${target.pid} is stopped (SIGSTOP, or a debugger): let it continue`;
  return (
    `process ${target.pid} was sent ${name}, and no dump of it was seen. It says why in a warning of its own: ` +
    `too little memory, or no way to write to ${printable(target.dumpDirectory())}. ` +
    `\`heapdump-rs doctor --pid ${target.pid}\` looks at both`
  );
}

/** Waits until the dump has its final name: then it is whole and on the disk. */
async function complete(target, dump, progress, signal) {
  let last = { bytes: -1, at: performance.now() };
  for (;;) {
    const now = fs.readlinkSync(`/proc/self/fd/${dump.fd}`);
    if (path.basename(now) === dump.name) return;
    const { nlink, size: bytes } = fs.fstatSync(dump.fd);
    if (nlink === 0) {
      throw new Problem(
        `process ${target.pid} gave the dump up; it says why in a warning of its own (HeapdumpWarning on its standard error)`,
      );
    }
    progress.show(bytes === 0 ? 'V8 takes the snapshot …' : `${size(bytes)} written`);
    if (bytes !== last.bytes) last = { bytes, at: performance.now() };
    if (performance.now() - last.at > ORPHAN_LIMIT_MS && !target.isRunning()) {
      throw new Problem(`process ${target.pid} has ended, and its dump with it`);
    }
    if (signal?.aborted) {
      const file = printable(path.join(dump.directory, dump.name));
      throw new Problem(`the time of --timeout is over; process ${target.pid} goes on writing ${file}`);
    }
    await delay(WATCH_MS);
  }
}

async function copy(dump, output, progress, signal) {
  try {
    return await output.receive(bytesOf(dump.fd), (bytes) => progress.show(`${size(bytes)} copied`), signal);
  } catch (error) {
    if (error instanceof Problem)
      error.message += `; the process' own copy stays: ${printable(path.join(dump.directory, dump.name))}`;
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

/** It was asked for by us, and has been copied. */
function removeOriginal(target, dump, progress) {
  const name = path.join(dump.directory, dump.name);
  try {
    const file = target.file(name);
    const { dev, ino } = fs.statSync(file);
    if (dump.id === `${dev}:${ino}`) fs.unlinkSync(file);
  } catch (error) {
    progress.say(`the process' own copy stays: ${printable(name)} (${plainly(error)})`);
  }
  if (dump.further > 0)
    progress.say(`${dump.further} more of its threads write theirs into ${printable(dump.directory)}`);
}

module.exports = { bySignal };

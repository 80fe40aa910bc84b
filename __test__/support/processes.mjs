// Other processes as /proc shows them, and waiting for something to become true.

import fs from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

import limits from '../../harness/limits.cjs';

/**
 * Waits until `look` returns something truthy, and returns it. There is no event for what other processes do, so it
 * looks every few milliseconds.
 */
export async function waitFor(what, look) {
  const deadline = performance.now() + limits.WAIT;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`waited ${limits.WAIT / 1000} s in vain: ${what}`);
    await delay(4);
  }
}

/** `{pid, name, state, parent, start}` of a process; undefined when there is none. */
export function processInfo(pid) {
  let stat;
  try {
    stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { pid: Number(pid), name, state: fields[0], parent: Number(fields[1]), start: fields[19] };
}

/** Children of a process, zombies included. */
export function childrenOf(pid) {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(processInfo)
    .filter((info) => info?.parent === pid);
}

/** The forked child that takes a snapshot of `pid`, once it goes by its own name. */
export function snapshotChild(pid) {
  return childrenOf(pid).find(({ name, state }) => name === 'heapdump' && state !== 'Z');
}

/** Waits for that child, until it has made itself ready for V8. */
export function snapshotChildOf(app) {
  return waitFor('a child that takes a snapshot', () => {
    if (app.hasEnded) throw new Error(`the program ended before its child was seen\n${app.stdout}${app.stderr}`);
    const child = snapshotChild(app.pid);
    return child && isReady(child) && child;
  });
}

/** Its memory limit is the last thing for which it opens files of its own. */
function isReady({ pid }) {
  try {
    return /^Max data size +\d/m.test(fs.readFileSync(`/proc/${pid}/limits`, 'utf8'));
  } catch {
    return false; // It has ended: perhaps another one takes its place.
  }
}

/** Whether this very process still runs (its pid may be another's by now). */
export function isRunning({ pid, start }) {
  const now = processInfo(pid);
  return now !== undefined && now.start === start && now.state !== 'Z';
}

export const goneAfter = (child) => waitFor(`process ${child.pid} is gone`, () => !isRunning(child));

/** Ends a child that a test knows; it may be gone already. */
export function signalChild(child, signal) {
  if (isRunning(child)) process.kill(child.pid, signal);
}

/** Targets of the open descriptors of a process, by number. */
export function descriptorsOf(pid) {
  const descriptors = new Map();
  for (const number of fs.readdirSync(`/proc/${pid}/fd`)) {
    try {
      descriptors.set(Number(number), fs.readlinkSync(`/proc/${pid}/fd/${number}`));
    } catch {
      // Closed meanwhile.
    }
  }
  return descriptors;
}

/** The file in `directory` that a child writes, with a temporary name or without one, as strace names it. */
export function outputOf(child, directory) {
  return outputDescriptor(child, directory)?.[1].replace(/ \(deleted\)$/, '');
}

/** How much a child has written into its file in `directory`. */
export function bytesWrittenBy(child, directory) {
  const [number] = outputDescriptor(child, directory) ?? [];
  return number === undefined ? 0 : fs.statSync(`/proc/${child.pid}/fd/${number}`).size;
}

function outputDescriptor(child, directory) {
  const start = fs.realpathSync(directory.path);
  return [...descriptorsOf(child.pid)].find(([, file]) => file.startsWith(start));
}

export const isRoot = process.getuid?.() === 0;

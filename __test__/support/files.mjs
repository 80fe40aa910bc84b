// Directories that tests may fill, and what is in them afterwards.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const cleanups = new WeakMap();

/** Runs `undo` at the end of test `t`, the last one first: what was mounted last is unmounted first. */
export function atEndOf(t, undo) {
  if (!cleanups.has(t)) {
    const stack = [];
    cleanups.set(t, stack);
    t.after(async () => {
      while (stack.length > 0) await stack.pop()();
    });
  }
  cleanups.get(t).push(undo);
}

/** A fresh directory: `path`, `at(name)`, `names()`, `remove()`. Removed at the end of test `t` where one is given. */
export function makeTemporaryDirectory(t) {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'heapdump-test-'));
  const directory = {
    path: root,
    at: (...names) => path.join(root, ...names),
    /** What is in it, temporary files included, sorted. */
    names: (sub = '.') => fs.readdirSync(path.join(root, sub)).sort(),
    // The child of an application that was ended may finish its file meanwhile.
    remove: () => fs.rmSync(root, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }),
  };
  if (t) atEndOf(t, directory.remove);
  return directory;
}

/** The permission bits of a file. */
export const modeOf = (file) => fs.statSync(file).mode & 0o7777;

export const isSnapshotName = (name) => /^heapdump-\d+\.\d+\.heapsnapshot$/.test(name);

/** open(2) */
const O_PATH = 0o10000000;

/** What this process opens from here on that is neither a file nor a directory: a growing list. */
export function watchOpens(t) {
  const opened = [];
  const { openSync } = fs;
  t.mock.method(fs, 'openSync', (file, flags, ...more) => {
    const descriptor = openSync(file, flags, ...more);
    const stat = fs.fstatSync(descriptor);
    if ((flags & O_PATH) === 0 && !stat.isFile() && !stat.isDirectory()) opened.push(file);
    return descriptor;
  });
  return opened;
}

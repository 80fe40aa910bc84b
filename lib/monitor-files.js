'use strict';

// What earlier processes' monitors left in a directory.

const fs = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');

const { SEALED, imageName, plainName } = require('./extensions.js');
const { readSidecar } = require('./sidecar.js');

const SIDECAR = /^heap-[a-z]+-\d+\.json$/;
const SNAPSHOT = /^([^/]+?)(\.heapsnapshot(?:\.gz|\.zst)?(?:\.age)?|\.heapimage(?:\.zst)?(?:\.age)?)$/;
/** Of a JSON that is not ours nothing is known. */
const LONGEST_JSON = 2 ** 20;

/** Snapshots and images of processes that have ended, the oldest first, with what their JSON says. `name`: the pattern of their names. */
async function* filesLeft(directory, name) {
  const files = await fs.readdir(directory).catch(() => []);
  for (const file of files.filter((each) => (name ? /.\.json$/ : SIDECAR).test(each)).sort()) {
    const sidecar = path.join(directory, file);
    const about = await readOwn(sidecar, name);
    if (about === undefined || isAtWork(about)) continue;
    const snapshot = await findSnapshot(directory, about.snapshot, path.basename(file, '.json'));
    if (snapshot) yield { snapshot, sidecar, about };
  }
}

/** Several processes and machines may share a bucket. The same file always has the same name. */
function nameFor(snapshot, { host, pid }) {
  const [, stem, extension] = SNAPSHOT.exec(path.basename(snapshot));
  return `${stem}-${String(host).replace(/[^\w.-]/g, '_').slice(0, 100)}-${pid}${extension}`;
}

/** With a pattern for names the JSON says whose it is. */
async function readOwn(sidecar, name) {
  if (name === undefined) return readSidecar(sidecar);
  const stats = await fs.lstat(sidecar).catch(() => undefined);
  const about = stats?.isFile() && stats.size <= LONGEST_JSON ? await readSidecar(sidecar) : undefined;
  return about?.name === name ? about : undefined;
}

/**
 * A process that ended before its child did not get to say how the file is compressed, nor whether it is an image instead.
 * It is whole if it is there.
 * Nobody else's file, and nothing that a link leads to: anybody may write into some directories.
 */
async function findSnapshot(directory, name, stem) {
  const image = imageName(plainName(name));
  const files = [name, `${name}.gz`, `${name}.zst`, image, `${image}.zst`];
  for (const each of [...files, ...files.map((file) => file + SEALED)]) {
    if (SNAPSHOT.exec(each)?.[1] !== stem) continue;
    const file = path.join(directory, each);
    const stats = await fs.lstat(file).catch(() => undefined);
    if (stats?.isFile() && stats.uid === (process.getuid?.() ?? stats.uid)) return file;
  }
  return undefined;
}

/** Whether the process that wrote this will see to it. In a container the next process has the same pid. */
function isAtWork({ host, pid, time }) {
  if (host !== os.hostname()) return false;
  if (pid === process.pid) return Date.parse(time) >= Date.now() - process.uptime() * 1000;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}

module.exports = { filesLeft, nameFor };

'use strict';

// Files of another process by the names that it knows them by: followed inside of its root directory, a container's for
// instance, and never out of it. An absolute link there would lead into ours, where root must not remove a file for it.

const fs = require('node:fs');

/** open(2) of Linux, which fs.constants lack: a place in the file system, and no right to what is there. */
const O_PATH = 0o10000000;
const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants;
/** As many links as Linux follows (path_resolution(7)). */
const MOST_LINKS = 40;

/** The root directory of a process, which serves when the process has ended too; `close` it. */
class Inside {
  #root;

  constructor(pid) {
    this.#root = fs.openSync(`/proc/${pid}/root`, O_PATH | O_DIRECTORY);
  }

  close() {
    fs.closeSync(this.#root);
  }

  /** As `openFile`, of an absolute path; a link that stands there is none. */
  open(file, isWanted) {
    return this.#at(file, (place) => openFile(place, isWanted, O_NOFOLLOW));
  }

  /** 'device:inode' of what stands there, itself a link or not; undefined where nothing does. */
  identify(file) {
    try {
      return this.#at(file, (place) => identityOf(fs.lstatSync(place, { bigint: true })));
    } catch {
      return undefined;
    }
  }

  /** Removes it if it is that file; whether it was. */
  remove(file, identity) {
    return this.#at(file, (place) => {
      if (identityOf(fs.lstatSync(place, { bigint: true })) !== identity) return false;
      fs.unlinkSync(place);
      return true;
    });
  }

  /** Calls `act` with the last name of `file` in its directory, which is held open. */
  #at(file, act) {
    const opened = [];
    const open = (at, name) => {
      const descriptor = fs.openSync(`/proc/self/fd/${at}/${name}`, O_PATH | O_NOFOLLOW);
      opened.push(descriptor);
      return descriptor;
    };
    try {
      const names = file.split('/').filter(Boolean);
      const last = names.pop();
      let way = [this.#root];
      for (let links = 0; names.length > 0;) {
        const name = names.shift();
        if (name === '.') continue;
        if (name === '..') {
          if (way.length > 1) way.pop();
          continue;
        }
        const descriptor = open(way.at(-1), name);
        if (!fs.fstatSync(descriptor).isSymbolicLink()) {
          way.push(descriptor);
          continue;
        }
        if (++links > MOST_LINKS) throw Object.assign(new Error(`${file}: too many links`), { code: 'ELOOP' });
        const to = fs.readlinkSync(`/proc/self/fd/${way.at(-1)}/${name}`);
        if (to.startsWith('/')) way = [this.#root];
        names.unshift(...to.split('/').filter(Boolean));
      }
      return act(`/proc/self/fd/${way.at(-1)}/${last}`);
    } finally {
      for (const descriptor of opened) fs.closeSync(descriptor);
    }
  }
}

/**
 * Opens for reading what others name, if it is a file and `isWanted(stat)` (its numbers are of 64 bits); undefined otherwise, and
 * what fs.openSync says of it is thrown. A device or a FIFO is never opened: that alone may start it (/dev/watchdog), or wait for
 * ever. And what has been looked at is what is opened, whatever stands there meanwhile.
 */
function openFile(place, isWanted, flags = 0) {
  const descriptor = fs.openSync(place, O_PATH | flags);
  try {
    const stat = fs.fstatSync(descriptor, { bigint: true });
    if (!stat.isFile() || !isWanted(stat)) return undefined;
    return fs.openSync(`/proc/self/fd/${descriptor}`, O_RDONLY | O_NONBLOCK);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** As the page of facts has it: numbers of 64 bits. */
const identityOf = ({ dev, ino }) => `${dev}:${ino}`;

module.exports = { Inside, identityOf, openFile };

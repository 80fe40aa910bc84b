'use strict';

// The snapshots of one expectNoLeak: in a directory of their own, below that of the caller's or the system's temporary one.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { writeSnapshot } = require('../promises.js');

class SnapshotFiles {
  /** In the order of time. */
  names = [];
  #directory;
  #isWanted;
  #isKept = false;
  #taken = 0;

  constructor(directory) {
    this.#isWanted = directory !== undefined;
    if (this.#isWanted) fs.mkdirSync(directory, { recursive: true });
    this.#directory = fs.mkdtempSync(path.join(path.resolve(directory ?? os.tmpdir()), 'leak-test-'));
  }

  async take() {
    const name = path.join(this.#directory, `${++this.#taken}.heapsnapshot`);
    // Ids that agree, so that it can be said which objects are new.
    const { path: file } = await writeSnapshot(name, { compress: 'zstd', stableIds: true });
    this.names.push(file);
  }

  keepOnlyFirst() {
    for (const name of this.names.splice(1)) fs.rmSync(name);
  }

  /** Returns where they stay, if they were asked for. */
  keep() {
    this.#isKept = this.#isWanted;
    return this.#isKept ? { directory: this.#directory, snapshots: this.names } : undefined;
  }

  remove() {
    if (!this.#isKept) fs.rmSync(this.#directory, { recursive: true, force: true });
  }
}

module.exports = { SnapshotFiles };

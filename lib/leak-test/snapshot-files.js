'use strict';

// The snapshots of one expectNoLeak: in a directory of their own, below that of the caller's or the system's temporary one.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
// Before anybody replaces them by false ones.
const { clearInterval, setInterval } = require('node:timers');

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

  /** Returns where they stay, if they were asked for, with a report of them all where one could be made. */
  async keep() {
    this.#isKept = this.#isWanted;
    if (!this.#isKept) return undefined;
    const { leaveReport } = require('../leave-report.js');
    // Nothing else may keep the process from ending meanwhile.
    const alive = setInterval(() => {}, 2 ** 30);
    // The test fails of its leak, whatever becomes of the page about it.
    const report = await leaveReport(this.names, path.join(this.#directory, 'report.html')).catch(() => undefined);
    clearInterval(alive);
    return { directory: this.#directory, snapshots: this.names, report };
  }

  remove() {
    if (!this.#isKept) fs.rmSync(this.#directory, { recursive: true, force: true });
  }
}

module.exports = { SnapshotFiles };

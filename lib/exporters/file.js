'use strict';

// Into a directory. Files appear whole or not at all, and the oldest make room for the newest.

const fs = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');

const { invalidType, invalidValue, warn } = require('../errors.js');
const { NewFile } = require('../new-file.js');
const { Exporter } = require('./exporter.js');

/** What a report may lie beside; it goes with it. */
const SNAPSHOT = /\.heapsnapshot(?:\.gz|\.zst)?$/;
/** What retention removes: nothing else in the directory is touched. */
const OURS = /\.(?:heapsnapshot|heapimage|heapprofile|cpuprofile)(?:\.gz|\.zst)?(?:\.age)?$/;

class FileExporter extends Exporter {
  #directory;
  #keep;
  #maxAge;
  #fileMode;
  #report;

  constructor({ directory, path: alias, keep, maxAge, fileMode = 0o600, report = false } = {}) {
    super();
    const given = directory ?? alias ?? os.tmpdir();
    if (typeof given !== 'string') throw invalidType('directory', 'a string', given);
    if (keep !== undefined && !(Number.isInteger(keep) && keep > 0)) throw invalidValue('keep', 'a positive integer', keep);
    if (maxAge !== undefined && !(typeof maxAge === 'number' && maxAge > 0)) {
      throw invalidValue('maxAge', 'a positive number of milliseconds', maxAge);
    }
    if ((keep ?? maxAge) !== undefined && (directory ?? alias) === undefined) {
      // In the system's directory for temporary files it would remove what others have put there.
      throw invalidValue('directory', 'given together with keep or maxAge', directory);
    }
    this.#directory = path.resolve(given);
    this.#keep = keep ?? Infinity;
    this.#maxAge = maxAge ?? Infinity;
    this.#fileMode = fileMode;
    if (typeof report !== 'boolean') throw invalidType('report', 'a boolean', report);
    this.#report = report;
  }

  async store(input, { name }) {
    await fs.mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const target = path.join(this.#directory, name);
    const file = new NewFile(target, { mode: this.#fileMode });
    try {
      await file.writeFrom(input.open());
      await file.sync();
      file.publish();
    } finally {
      file.close();
    }
    await syncDirectory(this.#directory);
    await this.#makeRoom(name);
    if (this.#report) await this.#leaveReport(target);
    return target;
  }

  /** Nobody waits for it: an export is done when its file is there. */
  async #leaveReport(target) {
    const { leaveReport, reportName } = require('../leave-report.js');
    const report = reportName(target);
    if (report === undefined) return;
    // Of an older file of that name.
    await fs.rm(report, { force: true }).catch(() => {});
    leaveReport([target], report).catch((error) => warn(`a heap snapshot without its report: ${error.message}`, error));
  }

  /** The file just written stays in any case. What cannot be removed now is tried again next time. */
  async #makeRoom(newest) {
    if (this.#keep === Infinity && this.#maxAge === Infinity) return;
    const now = Date.now();
    const found = [];
    for (const name of await fs.readdir(this.#directory)) {
      const file = path.join(this.#directory, name);
      if (name === newest || !OURS.test(name)) continue;
      const stats = await fs.lstat(file).catch(() => undefined);
      if (stats?.isFile()) found.push({ file, time: stats.mtimeMs });
    }
    found.sort((a, b) => b.time - a.time || (a.file < b.file ? 1 : -1));
    for (const [index, { file, time }] of found.entries()) {
      const stays = index < this.#keep - 1 && now - time <= this.#maxAge;
      if (stays) continue;
      await fs.rm(file, { force: true }).catch(() => {});
      if (SNAPSHOT.test(file)) await fs.rm(file.replace(SNAPSHOT, '.report.html'), { force: true }).catch(() => {});
    }
  }
}

/** Windows has no such thing. */
async function syncDirectory(directory) {
  if (process.platform === 'win32') return;
  const handle = await fs.open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

module.exports = { FileExporter };

'use strict';

// What becomes of the snapshots of heapdump-rs/oom: an exporter has them, a report lies beside them. At V8's limit there is no time
// for either: what a process left is seen to when the program starts again. A file that has arrived is removed here, as its model's
// users do it.

const fs = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');

const { noteExport, sidecarFor } = require('./sidecar.js');

const { asError, warn } = require('./errors.js');
const { leaveReport, reportName } = require('./leave-report.js');
const { namesOf } = require('./names.js');

const OWN_NAME = /^OoM-pid-(\d+)(?:-thread-\d+)?(?:-\d{8}T\d{6})?(?:-\d+)?\.(?:heapsnapshot|heapimage)(?:\.age)?$/;
/** A start has enough to do, and a process that ends at once would only begin reports. */
const AFTER_START = 10_000;

class OomFiles {
  #exporter;
  #report;
  #uploads = new Turns('no heap snapshot will be exported');
  #reports = new Turns('no report will be left');

  constructor({ exporter, report = false }) {
    this.#exporter = exporter;
    this.#report = report;
  }

  /** `file` as this process would name it, without a time; `isDefault` where nobody chose its name. */
  takeWhatWasLeft({ file, pattern: given }, isDefault) {
    if (this.#report) this.#reports.next(() => new Promise((resolve) => setTimeout(resolve, AFTER_START).unref()));
    this.#uploads.next(async () => {
      await this.#exporter?.prepare?.();
      const directory = path.resolve(path.dirname(file));
      const own = namesOf(given ?? path.basename(file));
      const pattern = isDefault && given === undefined ? OWN_NAME : namesLike(own);
      for (const name of await fs.readdir(directory).catch(() => [])) {
        const found = pattern.exec(name);
        if (found === null || isRunning(found[1])) continue;
        const snapshot = path.join(directory, name);
        // A pattern fits others' files too, a monitor's for instance: ours has our JSON beside it.
        if (given !== undefined && (await sidecarFor(snapshot)) === undefined) continue;
        await this.#take(snapshot);
      }
    });
  }

  take(file) {
    this.#uploads.next(() => this.#take(path.resolve(file), { isNew: true }));
  }

  async #take(file, { isNew = false } = {}) {
    const before = await fs.lstat(file);
    // Anybody may write into some directories.
    if (!before.isFile() || before.uid !== (process.getuid?.() ?? before.uid)) return;
    const hasArrived = this.#exporter !== undefined && (await this.#export(file, before));
    if (!this.#report || reportName(file) === undefined) return void (hasArrived && (await removeUnlessNew(file, before)));
    this.#reports.next(async () => {
      await this.#leaveReport(file, before, isNew);
      if (hasArrived) await removeUnlessNew(file, before);
    });
  }

  /** Whether it is somewhere else now. */
  async #export(file, before) {
    try {
      const result = await this.#exporter.export(file, { name: nameFor(file, before) });
      const { location, bytes } = result;
      // The JSON stays, and says so too.
      const found = await sidecarFor(file);
      if (found) await noteExport(found.sidecar, found.said, result).catch(() => {});
      console.error(`heapdump-rs/oom: '${file}' is now at ${location}`);
      return path.resolve(location) !== file && bytes === before.size;
    } catch (error) {
      fail(`the heap snapshot '${file}' was not exported`, error);
      return false;
    }
  }

  /** Where the snapshot goes, it goes too. */
  async #leaveReport(file, before, isNew) {
    const report = reportName(file);
    try {
      // Names are used again: an older one is of another snapshot.
      const older = await fs.stat(report).catch(() => undefined);
      if (older && (isNew || older.mtimeMs < before.mtimeMs)) await fs.rm(report);
      else if (older) return;
      const found = await sidecarFor(file);
      await leaveReport([file], report, { nodes: found?.said.report?.nodes });
      if (this.#exporter === undefined) return;
      await this.#exporter.export(report, { name: reportName(nameFor(file, before)) });
      await fs.rm(report);
    } catch (error) {
      fail('a heap snapshot without its report', error);
    }
  }
}

/** One after the other: uploads hold parts of their file in memory. */
class Turns {
  #what;
  #last = Promise.resolve();

  constructor(what) {
    this.#what = what;
  }

  next(job) {
    this.#last = this.#last.then(job).catch((error) => fail(this.#what, error));
  }
}

/** A bucket may be many machines', and a name with neither pid nor time be used again and again. */
function nameFor(file, { mtimeMs }) {
  const host = os.hostname().replace(/[^\w.-]/g, '_').slice(0, 100);
  const extension = /\.(?:heapsnapshot|heapimage)\.age$/.exec(file)?.[0] ?? path.extname(file);
  const end = `-${host}-${Math.round(mtimeMs)}${extension}`;
  return path.basename(file, extension).slice(0, 255 - end.length) + end;
}

/** With a time stamp, and with the number that thresholds after the first add. */
const namesLike = (stem) => new RegExp(`^${stem}(?:-\\d{8}T\\d{6})?(?:-\\d+)?\\.(?:heapsnapshot|heapimage)(?:\\.age)?$`);

/** Its own files are its own to export. In a container the process before this one had the same pid. */
function isRunning(pid) {
  if (pid === undefined || Number(pid) === process.pid) return false;
  try {
    return process.kill(Number(pid), 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Another one may have come in its place meanwhile. */
async function removeUnlessNew(file, { ino, mtimeMs }) {
  const now = await fs.lstat(file);
  if (now.ino === ino && now.mtimeMs === mtimeMs) await fs.unlink(file);
}

function fail(what, thrown) {
  const error = asError(thrown);
  warn(`${what}: ${error.message}`, error);
}

module.exports = { OomFiles };

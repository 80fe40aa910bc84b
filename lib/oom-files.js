'use strict';

// Snapshots of heapdump-rs/oom on their way to an exporter. At V8's limit there is no time for it: what a process left is
// exported when the program starts again. A file that has arrived is removed here, as its model's users do it.

const fs = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');

const { noteExport, sidecarFor } = require('./sidecar.js');

const { asError, warn } = require('./errors.js');
const { namesOf } = require('./names.js');

const OWN_NAME = /^OoM-pid-(\d+)(?:-thread-\d+)?(?:-\d{8}T\d{6})?(?:-\d+)?\.(?:heapsnapshot|heapimage)$/;

class OomExports {
  #exporter;
  #turn = Promise.resolve();

  constructor(exporter) {
    this.#exporter = exporter;
  }

  /** `file` as this process would name it, without a time; `isDefault` where nobody chose its name. */
  takeWhatWasLeft({ file, pattern: given }, isDefault) {
    this.#next(async () => {
      await this.#exporter.prepare?.();
      const directory = path.resolve(path.dirname(file));
      const own = namesOf(given ?? path.basename(file));
      const pattern = isDefault && given === undefined ? OWN_NAME : namesLike(own);
      for (const name of await fs.readdir(directory).catch(() => [])) {
        const found = pattern.exec(name);
        if (found === null || isRunning(found[1])) continue;
        const snapshot = path.join(directory, name);
        // A pattern fits others' files too, a monitor's for instance: ours has our JSON beside it.
        if (given !== undefined && (await sidecarFor(snapshot)) === undefined) continue;
        await this.#export(snapshot);
      }
    });
  }

  take(file) {
    this.#next(() => this.#export(path.resolve(file)));
  }

  #next(job) {
    this.#turn = this.#turn.then(job).catch((error) => fail('no heap snapshot will be exported', error));
  }

  async #export(file) {
    try {
      const before = await fs.lstat(file);
      // Anybody may write into some directories.
      if (!before.isFile() || before.uid !== (process.getuid?.() ?? before.uid)) return;
      const result = await this.#exporter.export(file, { name: nameFor(file, before) });
      const { location, bytes } = result;
      // The JSON stays, and says so too.
      const found = await sidecarFor(file);
      if (found) await noteExport(found.sidecar, found.said, result).catch(() => {});
      console.error(`heapdump-rs/oom: '${file}' is now at ${location}`);
      if (path.resolve(location) !== file && bytes === before.size) await removeUnlessNew(file, before);
    } catch (error) {
      fail(`the heap snapshot '${file}' was not exported`, error);
    }
  }
}

/** A bucket may be many machines', and a name with neither pid nor time be used again and again. */
function nameFor(file, { mtimeMs }) {
  const host = os.hostname().replace(/[^\w.-]/g, '_').slice(0, 100);
  const extension = path.extname(file);
  const end = `-${host}-${Math.round(mtimeMs)}${extension}`;
  return path.basename(file, extension).slice(0, 255 - end.length) + end;
}

/** With a time stamp, and with the number that thresholds after the first add. */
const namesLike = (stem) => new RegExp(`^${stem}(?:-\\d{8}T\\d{6})?(?:-\\d+)?\\.(?:heapsnapshot|heapimage)$`);

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

module.exports = { OomExports };

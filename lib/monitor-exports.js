'use strict';

// A monitor's snapshots on their way to an exporter: each when it is complete, and at the start what earlier processes
// left, which at V8's limit is the only time for it. A snapshot's JSON says where it went, so that it goes there once.

const fs = require('node:fs/promises');
const os = require('node:os');
const path = require('node:path');

const { noteExport, readSidecar } = require('./sidecar.js');

const { asError } = require('./errors.js');
const { imageName } = require('./extensions.js');

const SIDECAR = /^heap-[a-z]+-\d+\.json$/;
const SNAPSHOT = /^([^/]+?)(\.heapsnapshot(?:\.gz|\.zst)?|\.heapimage(?:\.zst)?)$/;
/** Of a JSON that is not ours nothing is known. */
const LONGEST_JSON = 2 ** 20;

class Exports {
  #exporter;
  #directory;
  #name;
  #exported;
  #failed;
  #turn = Promise.resolve();

  /** `exported(event)` or `failed(error)` is told of each. What they throw is their own: an uncaught exception. */
  constructor(exporter, { directory, name }, { exported, failed }) {
    this.#exporter = exporter;
    this.#directory = directory;
    this.#name = name;
    this.#exported = (event) => process.nextTick(exported, event);
    this.#failed = (error) => process.nextTick(failed, error);
  }

  /** Of earlier processes. An SDK that is missing is told now. */
  takeWhatWasLeft() {
    this.#next(async () => {
      await this.#exporter.prepare?.();
      const files = await fs.readdir(this.#directory).catch(() => []);
      for (const name of files.filter((each) => (this.#name ? /.\.json$/ : SIDECAR).test(each)).sort()) {
        const sidecar = path.join(this.#directory, name);
        const about = await this.#readOwn(sidecar);
        if (about === undefined || about.exported || isAtWork(about)) continue;
        const snapshot = await this.#findSnapshot(about.snapshot, path.basename(name, '.json'));
        if (snapshot) await this.#export({ snapshot, sidecar, reason: about.reason }, about);
      }
    });
  }

  take({ reason, report, sidecar }) {
    this.#next(async () => {
      const about = sidecar && (await readSidecar(sidecar));
      if (!about?.exported) await this.#export({ snapshot: report.path, sidecar, reason }, about);
    });
  }

  /** One at a time: uploads hold parts of their file in memory. */
  #next(job) {
    this.#turn = this.#turn.then(job).catch((error) => this.#failed(asError(error)));
  }

  async #export(which, about = { host: os.hostname(), pid: process.pid }) {
    try {
      const result = await this.#exporter.export(which.snapshot, { name: nameFor(which.snapshot, about) });
      const { location, bytes, sha256 } = result;
      // Where that cannot be noted it is exported again by the next process, under the same name.
      if (which.sidecar) await noteExport(which.sidecar, about, { location, bytes, sha256 }).catch(() => {});
      this.#exported({ ...which, location, bytes, sha256 });
    } catch (error) {
      this.#failed(Object.assign(asError(error), { reason: which.reason, sidecar: which.sidecar }));
    }
  }

  /** With a pattern for names the JSON says whose it is. */
  async #readOwn(sidecar) {
    if (this.#name === undefined) return readSidecar(sidecar);
    const stats = await fs.lstat(sidecar).catch(() => undefined);
    const about = stats?.isFile() && stats.size <= LONGEST_JSON ? await readSidecar(sidecar) : undefined;
    return about?.name === this.#name ? about : undefined;
  }

  /**
   * A process that ended before its child did not get to say how the file is compressed, nor whether it is an image instead.
   * It is whole if it is there.
   * Nobody else's file, and nothing that a link leads to: anybody may write into some directories.
   */
  async #findSnapshot(name, stem) {
    const image = imageName(name);
    for (const each of [name, `${name}.gz`, `${name}.zst`, image, `${image}.zst`]) {
      if (SNAPSHOT.exec(each)?.[1] !== stem) continue;
      const file = path.join(this.#directory, each);
      const stats = await fs.lstat(file).catch(() => undefined);
      if (stats?.isFile() && stats.uid === (process.getuid?.() ?? stats.uid)) return file;
    }
    return undefined;
  }
}

/** Several processes and machines may share a bucket. The same file always has the same name. */
function nameFor(snapshot, { host, pid }) {
  const [, stem, extension] = SNAPSHOT.exec(path.basename(snapshot));
  return `${stem}-${String(host).replace(/[^\w.-]/g, '_').slice(0, 100)}-${pid}${extension}`;
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

module.exports = { Exports };

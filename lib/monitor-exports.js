'use strict';

// A monitor's snapshots on their way to an exporter: each when it is complete, and at the start what earlier processes
// left, which at V8's limit is the only time for it. A snapshot's JSON says where it went, so that it goes there once.

const os = require('node:os');

const { asError } = require('./errors.js');
const { reportName } = require('./leave-report.js');
const { filesLeft, nameFor } = require('./monitor-files.js');
const { noteExport, readSidecar } = require('./sidecar.js');

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
      for await (const { snapshot, sidecar, about } of filesLeft(this.#directory, this.#name)) {
        if (!about.exported) await this.#export({ snapshot, sidecar, reason: about.reason }, about);
      }
    });
  }

  take({ reason, report, sidecar }) {
    this.#next(async () => {
      const about = sidecar && (await readSidecar(sidecar));
      if (!about?.exported) await this.#export({ snapshot: report.path, sidecar, reason }, about);
    });
  }

  /** A report goes beside its snapshot. */
  takeReport({ snapshot, file, sidecar, reason }) {
    this.#next(async () => {
      const about = (sidecar && (await readSidecar(sidecar))) ?? OURS;
      try {
        await this.#exporter.export(file, { name: reportName(nameFor(snapshot, about)) });
      } catch (error) {
        this.#failed(Object.assign(asError(error), { reason, sidecar }));
      }
    });
  }

  /** One at a time: uploads hold parts of their file in memory. */
  #next(job) {
    this.#turn = this.#turn.then(job).catch((error) => this.#failed(asError(error)));
  }

  async #export(which, about = OURS) {
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
}

/** Where no JSON says whose a snapshot is. */
const OURS = { host: os.hostname(), pid: process.pid };

module.exports = { Exports };

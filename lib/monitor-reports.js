'use strict';

// Reports beside a monitor's snapshots: of each when it is complete, and some time after the start of what earlier processes left,
// which at V8's limit, or where memory was short, is the only time for it.

const fs = require('node:fs');

const { asError } = require('./errors.js');
const { leaveReport, reportName } = require('./leave-report.js');
const { filesLeft } = require('./monitor-files.js');
const { noteInSidecar, readSidecar } = require('./sidecar.js');

/** A start has enough to do, and a process that ends at once would only begin reports. */
const AFTER_START = 10_000;

class Reports {
  #reported;
  #failed;
  #turn = Promise.resolve();
  #timer;

  /** `reported(event)` or `failed(error)` is told of each. */
  constructor({ reported, failed }) {
    this.#reported = (event) => process.nextTick(reported, event);
    this.#failed = (error) => process.nextTick(failed, error);
  }

  takeWhatWasLeft({ directory, name }) {
    this.#timer = setTimeout(() => {
      this.#next(async () => {
        for await (const { snapshot, sidecar, about } of filesLeft(directory, name)) await this.#make({ snapshot, sidecar, reason: about.reason }, about);
      });
    }, AFTER_START).unref();
  }

  take({ reason, report, sidecar }) {
    this.#next(async () => {
      const about = (sidecar && (await readSidecar(sidecar))) ?? {};
      await this.#make({ snapshot: report.path, sidecar, reason }, { ...about, report });
    });
  }

  stop() {
    clearTimeout(this.#timer);
  }

  #next(job) {
    this.#turn = this.#turn.then(job).catch((error) => this.#failed(asError(error)));
  }

  async #make(which, about) {
    const file = reportName(which.snapshot);
    if (file === undefined || about.noReport || fs.existsSync(file) || !fs.existsSync(which.snapshot)) return;
    try {
      await leaveReport([which.snapshot], file, { nodes: about.report?.nodes });
      // Retention may have been faster.
      if (fs.existsSync(which.snapshot)) this.#reported({ ...which, file });
      else fs.rmSync(file, { force: true });
    } catch (error) {
      if (!fs.existsSync(which.snapshot)) return;
      // Once is enough, unless there was no room for it.
      if (!error.isLater && which.sidecar) await noteInSidecar(which.sidecar, { noReport: error.message }).catch(() => {});
      this.#failed(Object.assign(asError(error), { reason: which.reason, sidecar: which.sidecar }));
    }
  }
}

module.exports = { Reports };

'use strict';

// Snapshots without anybody asking. What is watched is judged in the addon, on a thread of its own; this file says what is
// wanted and tells what happened.

const { EventEmitter } = require('node:events');
const { existsSync, mkdirSync } = require('node:fs');
const path = require('node:path');
const { channel } = require('node:diagnostics_channel');

const { heap } = require('./native.js');
const { normalize } = require('./options.js');
const { toError, warn } = require('./errors.js');
const { toReport, publish } = require('./report.js');
const { checkPermission } = require('./snapshot.js');
const { normalizeMonitor, atLimitOf, exporterOf, leavesReports, metricsOf } = require('./monitor-options.js');
const { readMetrics, addToPrometheus, addToOpenTelemetry } = require('./monitor-metrics.js');

const events = channel('heapdump-rs:monitor');

/** Starts watching; see monitor.d.ts. */
function monitor(options = {}) {
  return new Monitor(options);
}

/** Options that are lib/options.js's. */
const OF_SNAPSHOTS = ['output', 'lowMemory', 'embed', 'compress', 'redact', 'encryptTo', 'fileMode', 'exposeInternals', 'exposeNumericValues'];

class Monitor extends EventEmitter {
  #native;
  #timers = new Set();
  #atLimit;
  #cooldown;
  #exports;
  #reports;
  #counts = { taken: 0, failed: 0, skipped: 0 };
  #stopped = false;

  constructor(options) {
    super();
    const settings = normalizeMonitor(options);
    const { fallback = 'error' } = options;
    const native = normalize({ ...Object.fromEntries(OF_SNAPSHOTS.map((name) => [name, options[name]])), fallback });
    const { metrics, period } = metricsOf(options);
    const exporter = exporterOf(options);
    this.#atLimit = atLimitOf(options.oom);
    this.#cooldown = settings.cooldown;
    checkPermission(settings.directory);
    /** Where the snapshots go, absolute. */
    this.dir = settings.directory;
    makeDirectory(this.dir);
    this.#native = heap.monitor({ ...settings, directory: Buffer.from(this.dir) }, native, (event) => this.#told(event));
    for (const reason of this.#native.missing()) this.#unsupported(reason);
    if (this.#atLimit !== undefined) this.#armAtLimit();
    if (exporter !== undefined) this.#exportTo(exporter, settings.name);
    if (leavesReports(options)) this.#leaveReports(settings.name);
    if (metrics !== undefined) this.#report(metrics, period);
  }

  /** Ends it: no snapshot is begun from here on, except at V8's limit. */
  stop() {
    this.#stopped = true;
    this.#native.stop();
    this.#reports?.stop();
    for (const timer of this.#timers) clearTimeout(timer);
  }

  /** Numbers by name. */
  metrics() {
    return readMetrics(this.#native.figures(), this.#counts);
  }

  /** Gauges for a caller's prom-client. */
  toPrometheus(client, options) {
    return addToPrometheus(() => this.metrics(), client, options);
  }

  /** Observable gauges for a caller's OpenTelemetry meter. */
  toOpenTelemetry(meter) {
    return addToOpenTelemetry(() => this.metrics(), meter);
  }

  #told({ kind, reason, value, limit, why, message, report, error, sidecar }) {
    if (kind === 'threshold') {
      this.#tell('threshold', { reason, value, limit });
    } else if (kind === 'skipped') {
      this.#counts.skipped += 1;
      this.#tell('skipped', { reason, why, message });
    } else if (kind === 'snapshot') {
      this.#counts.taken += 1;
      const taken = toReport(report);
      publish('end', { report: taken, reason });
      this.#rearmAfter(reason);
      this.#tell('snapshot', { reason, report: taken, sidecar });
      this.#exports?.take({ reason, report: taken, sidecar });
      this.#reports?.take({ reason, report: taken, sidecar });
    } else {
      this.#counts.failed += 1;
      const failure = Object.assign(toError(error), { reason, sidecar });
      publish('error', { error: failure, path: failure.path, reason });
      this.#rearmAfter(reason);
      this.#fail(failure, 'no heap snapshot', heap.dumpsAreAnnounced());
    }
  }

  #tell(type, event) {
    if (events.hasSubscribers) events.publish({ type, ...event });
    this.emit(type, event);
  }

  /** A trigger never throws into the application: without a listener an error is a warning, unless a line said it. */
  #fail(error, what = 'no heap snapshot', isSaid = false) {
    if (events.hasSubscribers) events.publish({ type: 'error', error, reason: error.reason });
    if (this.listenerCount('error') > 0) this.emit('error', error);
    else if (!isSaid) {
      warn(`${what} (${error.reason ?? 'monitor'}): ${error.message}`, error);
    }
  }

  #exportTo(exporter, name) {
    const { Exports } = require('./monitor-exports.js');
    const exported = (event) => this.#tell('exported', event);
    this.#exports = new Exports(exporter, { directory: this.dir, name }, { exported, failed: (error) => this.#fail(error, 'a heap snapshot was not exported') });
    this.#exports.takeWhatWasLeft();
  }

  #leaveReports(name) {
    const { Reports } = require('./monitor-reports.js');
    const reported = (event) => {
      this.#tell('reported', event);
      this.#exports?.takeReport(event);
    };
    this.#reports = new Reports({ reported, failed: (error) => this.#fail(error, 'a snapshot without its report') });
    this.#reports.takeWhatWasLeft({ directory: this.dir, name });
  }

  /** Told later: nobody listens yet. */
  #unsupported(reason) {
    const error = new Error(`not watched: ${reason}`);
    error.code = 'ERR_HEAPDUMP_UNSUPPORTED';
    setImmediate(() => this.#fail(error)).unref();
  }

  /** After the cooldown: what ended the last process a moment ago would end this one too. */
  #armAtLimit() {
    const { cooldownLeft } = this.#native.figures();
    if (cooldownLeft > 0) {
      this.#later(cooldownLeft, () => this.#armAtLimit());
      return;
    }
    const error = this.#native.armAtLimit(this.#atLimit);
    if (error) setImmediate(() => this.#fail(Object.assign(toError(error), { reason: 'oom' }))).unref();
  }

  #rearmAfter(reason) {
    if (reason !== 'oom' || this.#stopped) return;
    this.#later(this.#cooldown, () => this.#armAtLimit());
  }

  /** The guide's gauges, and the others. */
  #report(metrics, period) {
    const timer = setInterval(() => {
      try {
        for (const [name, value] of Object.entries(this.metrics())) metrics.gauge(name, value);
      } catch (error) {
        // Told once: it would throw again and again.
        clearInterval(timer);
        this.#fail(error instanceof Error ? error : new Error(String(error)));
      }
    }, Math.min(period, LONGEST_TIMER));
    this.#timers.add(timer.unref());
  }

  #later(time, act) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, Math.min(time, LONGEST_TIMER));
    this.#timers.add(timer.unref());
  }
}

/** setTimeout takes more for 1. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * For its owner alone. If it cannot be made, the first snapshot says why. Node's own `recursive` never ends where a file
 * system knows no new directories (/proc).
 */
function makeDirectory(directory) {
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    const parent = path.dirname(directory);
    if (error.code !== 'ENOENT' || parent === directory || !makeDirectory(parent)) return existsSync(directory);
    return makeIn(directory);
  }
  return true;
}

function makeIn(directory) {
  try {
    mkdirSync(directory, { mode: 0o700 });
    return true;
  } catch {
    return false;
  }
}

module.exports = { monitor };

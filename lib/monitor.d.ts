import type { EventEmitter } from 'node:events';

import type { Exported, Exporter } from './exporters.js';
import type { HeapdumpError, ImageOptions, Redaction, SnapshotReport } from '../index.js';

/**
 * Watches this process and takes snapshots of the calling thread's heap by a forked child. What is watched by the clock is
 * judged on a native thread, also while JavaScript never yields. It never keeps the process alive.
 *
 * @throws {TypeError} `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for wrong options; `ERR_ACCESS_DENIED` where Node's
 * permission model refuses the directory. Nothing is thrown later.
 */
export function monitor(options?: MonitorOptions): Monitor;

/** Bytes, or a text such as `'1.5GB'`; units are powers of 1024. */
export type Size = number | string;
/** A text such as `'80%'`. */
export type Percentage = `${number}%`;
/** Milliseconds, or a text such as `'10m'`: `ms`, `s`, `m`, `h`, `d`. */
export type Time = number | string;

export interface MonitorOptions extends ImageOptions {
  /** Used heap after a full garbage collection: bytes, or a percentage of V8's limit, or several. */
  threshold?: Size | readonly Size[] | undefined;
  /** What objects hold outside of the heap (Buffers), after a full garbage collection. */
  external?: Size | undefined;
  /** Resident memory of the process. Linux. */
  rss?: Size | undefined;
  /** What the memory control group (version 1 or 2) uses of its limit, file cache left out. Linux. */
  cgroup?: Percentage | number | undefined;
  /**
   * Growth of the used heap after full garbage collections over a baseline, which is then reset. `true` is 50 %.
   * Growth below `atLeast` (default 16 MB) is none.
   */
  growth?: boolean | Percentage | number | { percent?: Percentage | number; atLeast?: Size } | undefined;
  /** A snapshot each time so much has passed, counted over restarts. */
  every?: Time | undefined;
  /**
   * A snapshot when V8's heap comes near its limit: the process waits for the file and goes on with a raised limit
   * (`true`, `'wait'`), goes on as soon as the child is forked (`'continue'`), or ends with status 1 (`'exit'`). Linux.
   */
  oom?: boolean | 'wait' | 'continue' | 'exit' | undefined;
  /**
   * Where snapshots go; made if it is missing. Default: `dir=` of `NODE_HEAPDUMP_OPTIONS`, `HEAP_SNAPSHOT_DIR`, Node's
   * `--diagnostic-dir`, the current directory.
   */
  dir?: string | URL | undefined;
  /**
   * A pattern for their names, with `{pid}`, `{host}`, `{thread}`, `{time}`, `{reason}` and `{title}` in it; a number is added where
   * a name is taken. Monitors with the same pattern share cooldown, `max` and `keep`. Default: `name=` of
   * `NODE_HEAPDUMP_OPTIONS`, then `heap-<reason>-<ms>`.
   */
  name?: string | undefined;
  /** Snapshots that stay in the directory; the oldest go first. Default 3. */
  max?: number | undefined;
  /** Bytes that stay in the directory; the newest snapshot stays in any case. Default: no limit. */
  keep?: Size | undefined;
  /** What must stay free on the disk, beside room for a snapshot. Default 16 MB. */
  free?: Size | undefined;
  /**
   * Between two snapshots for a limit, judged by the files in the directory: it outlives the process. A failed one is not
   * tried again for a minute at least. Default 10 minutes.
   */
  cooldown?: Time | undefined;
  /** How far a figure has to fall below its limit to be told again. Default 10 %. */
  hysteresis?: Percentage | number | undefined;
  /** How often resident memory and the control group are looked at, at least. Default 1 s. */
  interval?: Time | undefined;
  compress?: 'gzip' | 'zstd' | undefined;
  /** Takes the texts out of the snapshots while the child writes. Default `false`. */
  redact?: boolean | Redaction | undefined;
  encryptTo?: string | readonly string[] | undefined;
  /** Permission bits of the snapshots. Default `0o600`. */
  fileMode?: number | undefined;
  /** Whether a snapshot may be taken in process where no child can be forked. Default `'error'`: nobody awaits it. */
  fallback?: 'inline' | 'error' | undefined;
  exposeInternals?: boolean | undefined;
  exposeNumericValues?: boolean | undefined;
  /** Gets every metric each `metricsInterval`. */
  metrics?: { gauge(name: string, value: number): unknown } | undefined;
  /** Default 30 s. */
  metricsInterval?: Time | undefined;
  /**
   * Gets each snapshot as well: the file, once it is complete; and at the start those that earlier processes left in the
   * directory, for which there was no time at V8's limit. One of heapdump-rs/exporters, or any other.
   */
  exporter?: { export: Exporter['export']; prepare?: Exporter['prepare'] } | undefined;
  /**
   * Another process leaves a page about each snapshot beside it: `….report.html`, which goes to the exporter too. Where there is no
   * room for it, the next process does it, some time after its start. Default `false`.
   */
  report?: boolean | undefined;
}

/** What made a snapshot due; a part of its default name: `heap-<reason>-<ms>.heapsnapshot`. */
export type Reason = 'used' | 'external' | 'rss' | 'cgroup' | 'growth' | 'schedule' | 'oom';

export interface ThresholdEvent {
  reason: Reason;
  /** Bytes. */
  value: number;
  /** Bytes. */
  limit: number;
}

export interface SnapshotEvent {
  reason: Reason;
  report: SnapshotReport;
  /** The JSON beside it; absent if that could not be written. */
  sidecar?: string | undefined;
}

export interface ExportedEvent extends Exported {
  reason: Reason;
  /** The file, which stays until retention removes it. */
  snapshot: string;
  /** The JSON beside it, which says where the snapshot went. */
  sidecar?: string | undefined;
}

export interface ReportedEvent {
  reason: Reason;
  /** What it is about. */
  snapshot: string;
  /** The page, which goes with the snapshot. */
  file: string;
  /** The JSON beside them. */
  sidecar?: string | undefined;
}

export interface SkippedEvent {
  reason: Reason;
  why: 'cooldown' | 'busy';
  message: string;
}

export interface MonitorError extends HeapdumpError {
  /** Absent for what cannot be watched here. */
  reason?: Reason | undefined;
  /** The JSON that says what is known; absent if it could not be written. */
  sidecar?: string | undefined;
}

export interface MonitorEvents {
  /** A figure is over its limit; once, until it has fallen below by the hysteresis. */
  threshold: [event: ThresholdEvent];
  /** A complete snapshot. */
  snapshot: [event: SnapshotEvent];
  /** It has gone to the exporter. */
  exported: [event: ExportedEvent];
  /** A report lies beside it. */
  reported: [event: ReportedEvent];
  /** A snapshot that was due was not begun. */
  skipped: [event: SkippedEvent];
  /** A snapshot, its export or its report failed, once each. Without a listener it is a process warning, never a throw. */
  error: [error: MonitorError];
}

/** Also on the diagnostics channel `heapdump-rs:monitor`. */
export type MonitorMessage =
  | ({ type: 'threshold' } & ThresholdEvent)
  | ({ type: 'snapshot' } & SnapshotEvent)
  | ({ type: 'exported' } & ExportedEvent)
  | ({ type: 'reported' } & ReportedEvent)
  | ({ type: 'skipped' } & SkippedEvent)
  | { type: 'error'; error: MonitorError; reason?: Reason | undefined };

export interface Monitor extends EventEmitter {
  /** Where the snapshots go, absolute. */
  readonly dir: string;
  /** No snapshot is begun from here on, except at V8's limit. */
  stop(): void;
  /** Numbers by name, `nodejs.memory.rss` for instance. What is not known is not there. */
  metrics(): Record<string, number>;
  /** Gauges in prom-client's registry, read when it collects. */
  toPrometheus<Gauge>(
    client: { Gauge: new (configuration: any) => Gauge },
    options?: { registers?: readonly object[]; prefix?: string },
  ): Gauge[];
  /** Observable gauges of an OpenTelemetry meter; what is returned ends that. */
  toOpenTelemetry(meter: {
    createObservableGauge(name: string, options?: any): any;
    addBatchObservableCallback(callback: any, observables: any[]): void;
    removeBatchObservableCallback(callback: any, observables: any[]): void;
  }): () => void;

  on<E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void): this;
  once<E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void): this;
  off<E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void): this;
  addListener<E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void): this;
  removeListener<E extends keyof MonitorEvents>(event: E, listener: (...args: MonitorEvents[E]) => void): this;
}

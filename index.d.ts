/// <reference types="node" />

// The public API of heapdump-rs, by hand. Times are in milliseconds, sizes in bytes.

import type { Readable } from 'node:stream';

/** Where a snapshot goes: a path, as `fs` takes it. URLs must be `file:` URLs. */
export type Filename = string | Buffer | URL;

/** What a snapshot's callback hears of its end. */
export type SnapshotCallback<Name extends string | Buffer = string> = (
  /** `null` when the file is complete. */
  error: HeapdumpError | null,
  /**
   * The name as it was passed (of a URL: its path), or the default one, as `fs` takes it in the directory of the call; with
   * `compress` the extension is added. Absent after an error.
   */
  filename?: Name,
  /** Absent after an error. */
  report?: SnapshotReport<Name>,
) => void;

/**
 * Writes a snapshot of the calling thread's heap. A drop-in for node-heapdump's function: on Linux a forked child takes
 * it while this process goes on; elsewhere, or with `nofork`, it is taken before this returns.
 *
 * A file appears under its name when it is complete, never before. Without a callback the outcome is on the
 * diagnostics channel `heapdump-rs:snapshot` and in {@link getStatus} only.
 *
 * @param filename Default: `heapdump-<ms>.<ns>.heapsnapshot` (or `name`) in the directory of `NODE_HEAPDUMP_OPTIONS` (`dir=`), else
 * in Node's `--diagnostic-dir`, else in the current one. Values that are no {@link Filename} mean the default name too, as in
 * node-heapdump.
 * @param callback Called once. A target that cannot be opened is told before this returns.
 * @returns Whether a snapshot was started (or, in process, written).
 * @throws {TypeError} `cb is not a function`; `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for wrong options.
 */
export function writeSnapshot(filename: Buffer, callback?: SnapshotCallback<Buffer> | null): boolean;
export function writeSnapshot(filename?: string | URL | null, callback?: SnapshotCallback | null): boolean;
export function writeSnapshot(callback: SnapshotCallback): boolean;
export function writeSnapshot(
  filename: Buffer,
  options: SnapshotOptions,
  callback?: SnapshotCallback<Buffer> | null,
): boolean;
export function writeSnapshot(
  filename: string | URL | null | undefined,
  options: SnapshotOptions,
  callback?: SnapshotCallback | null,
): boolean;
export function writeSnapshot(options: SnapshotOptions, callback?: SnapshotCallback | null): boolean;

export namespace writeSnapshot {
  /** What `util.promisify(writeSnapshot)` is: resolves with the name. `heapdump-rs/promises` gives the report. */
  function __promisify__(filename: Buffer, options?: SnapshotOptions): Promise<Buffer>;
  function __promisify__(filename?: string | URL | null, options?: SnapshotOptions): Promise<string>;
  function __promisify__(options: SnapshotOptions): Promise<string>;
}

/**
 * Takes a snapshot in process, now: the event loop stands still until the file is complete.
 *
 * @throws {HeapdumpError}
 */
export function writeSnapshotSync(filename: Buffer, options?: InProcessOptions): SnapshotReport<Buffer>;
export function writeSnapshotSync(filename?: string | URL | null, options?: InProcessOptions): SnapshotReport;
export function writeSnapshotSync(options: InProcessOptions): SnapshotReport;

/**
 * A snapshot as a stream: the child writes into a pipe, the reader sets the pace, and nothing lands on disk. Errors
 * are emitted as 'error'. Destroying the stream ends the child.
 *
 * A stream that nobody reads from for two minutes fails with `ERR_HEAPDUMP_OUTPUT_STALLED`.
 */
export function createSnapshotStream(options?: StreamOptions): SnapshotStream;

/** What runs and waits in this process, all threads together, and how its last snapshot ended. */
export function getStatus(): SnapshotStatus;

/** Options that every way of taking a snapshot knows. */
export interface CommonOptions {
  /**
   * Compresses on a thread of the child and adds `.gz` or `.zst` to the name. An image knows `'zstd'` alone: with `output: 'image'`
   * `'gzip'` is an error, and one that `lowMemory` asks for is compressed by zstd whichever is given. Default: not compressed.
   */
  compress?: 'gzip' | 'zstd' | undefined;
  /**
   * Takes the texts out while the child writes: strings, numbers, expressions and keys become pseudonyms of the same length, and what
   * code named stays (docs/redact.md). An image is refused then, unless it is encrypted. `NODE_HEAPDUMP_OPTIONS=redact` holds whatever
   * is said here. Default `false`.
   */
  redact?: boolean | Redaction | undefined;
  /**
   * Who alone can read it: a recipient of age (`age1…`), or several. The child encrypts while it writes, and `.age` is added to the
   * name, last (docs/encrypt.md). `NODE_HEAPDUMP_OPTIONS=encrypt=age1…` holds whatever is said here.
   */
  encryptTo?: string | readonly string[] | undefined;
  /** Records V8's own objects too. Default `false`. */
  exposeInternals?: boolean | undefined;
  /** Records numbers as nodes. Default `false`. */
  exposeNumericValues?: boolean | undefined;
  /** Aborting it ends the snapshot with an `AbortError` (`code` is `ABORT_ERR`, `cause` the signal's reason). */
  signal?: AbortSignal | undefined;
}

/** How texts are taken out. */
export interface Redaction {
  /**
   * A secret of 16 bytes or more that pseudonyms depend on: files of one key compare, whoever wrote them. Default: a random one, which
   * this process keeps until it ends.
   */
  key?: string | Uint8Array | undefined;
  /** Whether the paths of scripts are hidden too. Default `false`. */
  paths?: boolean | undefined;
}

/** For a snapshot in process. */
export interface InProcessOptions extends CommonOptions {
  /** Permission bits of the file, whatever the umask. Default `0o600`: a snapshot holds secrets. */
  fileMode?: number | undefined;
  /**
   * Without a filename: a pattern for the file's name, with `{pid}`, `{host}`, `{thread}`, `{time}`, `{reason}` and `{title}` in it.
   * `.heapsnapshot` (`.heapimage`) is added, and a number where the name is taken. Default: `name=` of `NODE_HEAPDUMP_OPTIONS`, then
   * node-heapdump's names. With a filename it is an error.
   */
  name?: string | undefined;
}

/** What is written. An image needs a few MB where a snapshot needs several times the heap; docs/heap-images.md. */
export interface ImageOptions {
  /**
   * `'image'`: the memory of the child as it is, in a tenth of the time; `npx heapdump-rs node-snapshot --image` makes the
   * snapshot of it, on another machine too. Linux x64, by a forked child. The name ends in `.heapimage`: that takes the place of
   * `.heapsnapshot`, or is added.
   *
   * **An image holds all memory of the process**: environment, keys of TLS, contents of Buffers, other threads' heaps. Default
   * `'snapshot'`.
   */
  output?: 'snapshot' | 'image' | undefined;
  /**
   * Where there is too little memory for a snapshot: fail with `ERR_HEAPDUMP_NO_MEMORY` (`'error'`, the default), or write an image
   * (`'image'`): of `app.heapsnapshot` beside it as `app.heapimage`. The report says which (`kind`, `path`). Where images cannot be
   * written it is the error.
   */
  lowMemory?: 'error' | 'image' | undefined;
  /**
   * Files that are mapped into the process: all but large ones that are found again by path and build-id, Node's binary above all
   * (`'auto'`, the default); or these too (`'all'`), for a machine that has not that very Node.js: about 90 MB more, 36 MB with
   * `compress`.
   */
  embed?: 'auto' | 'all' | undefined;
}

/** For a snapshot that a forked child may take. */
export interface ForkOptions extends CommonOptions, ImageOptions {
  /**
   * - `'auto'` (default): fork mode where it can be done, in process elsewhere.
   * - `'fork'`: fork mode or an error.
   * - `'inline'`: in process. The default with `NODE_HEAPDUMP_OPTIONS=nofork`.
   */
  mode?: 'auto' | 'fork' | 'inline' | undefined;
  /**
   * Where no child can be forked: take it in process (`'inline'`, the default of mode `'auto'`), or fail with
   * `ERR_HEAPDUMP_FORK_UNAVAILABLE` (`'error'`, the default of mode `'fork'`). Lack of memory is always an error.
   */
  fallback?: 'inline' | 'error' | undefined;
  /**
   * Gives objects ids that this process' snapshots agree on, so that two can be compared, at the price of a garbage
   * collection and a walk of the heap in process. Needed for both snapshots. Default `false`: every child numbers
   * objects anew.
   */
  stableIds?: boolean | undefined;
  /** In fork mode, about every 100 ms while the child is at work. */
  onProgress?: ((progress: SnapshotProgress) => void) | undefined;
  /** Milliseconds from the call to the end, waiting in the queue included; fork mode only. Default: no limit. */
  timeout?: number | undefined;
  /**
   * While another snapshot of this process runs: wait for it (`'queue'`, the default) or fail with
   * `ERR_HEAPDUMP_BUSY` (`'reject'`).
   */
  busy?: 'queue' | 'reject' | undefined;
}

/** For a snapshot into a file. */
export interface SnapshotOptions extends ForkOptions, InProcessOptions {}

/** For a snapshot as a stream. */
export interface StreamOptions extends ForkOptions {}

/** How far a snapshot is. */
export interface SnapshotProgress {
  /** V8 collects garbage, then records objects, then the JSON is written. */
  stage: 'collecting' | 'recording' | 'writing' | 'complete';
  /** Objects that V8 has visited. */
  done: number;
  /** Objects that V8 expects; 0 while it does not know. */
  total: number;
  /** Bytes written so far, as compressed. */
  bytes: number;
}

/** A complete snapshot. */
export interface SnapshotReport<Name extends string | Buffer | undefined = string> {
  /** What was written; see {@link ImageOptions}. */
  kind: 'snapshot' | 'image';
  /** The file, absolute; `undefined` for a stream. */
  path: Name;
  /** Bytes of the output, as compressed. */
  bytes: number;
  /** SHA-256 of the output, as compressed, in hexadecimal digits; `undefined` for a stream that was taken in process. */
  sha256: string | undefined;
  /** Nodes of the snapshot; 0 for an image, whose nodes nobody has counted, and for a stream that was taken in process. */
  nodes: number;
  /** Edges of the snapshot; 0 in the same cases. */
  edges: number;
  /** How it was taken. */
  mode: 'fork' | 'inline';
  /** Why it was taken in process although a child was wanted. */
  fallbackReason?: string | undefined;
  /** Children that were forked: 1 unless one hung or crashed, 0 in process. */
  attempts: number;
  /** Why children before the last one were given up; empty when the first one did it. */
  retryReasons: string[];
  /** How long the event loop was stopped, in ms, all attempts together. */
  pause: number;
  /** How long V8's worker threads took to come to rest before the fork, in ms; the event loop ran. */
  barrierWait: number;
  /** fork(2) alone, in ms; a part of `pause`. */
  forkTime: number;
  /** From the call to the complete file, in ms. */
  duration: number;
  /** The child's peak resident memory in bytes, what it shared with this process included; 0 in process. */
  childPeakMemory: number;
  /** What the child held alone when it was done, in bytes; 0 in process. */
  childPrivateMemory: number;
}

/** See {@link getStatus}. */
export interface SnapshotStatus {
  /** Whether a snapshot runs or waits. */
  inProgress: boolean;
  /** Snapshots that run: at most one, but for threads that are ending. */
  running: number;
  /** Snapshots that wait for their turn. */
  waiting: number;
  /** The last snapshot of this process, if it was complete. */
  last: SnapshotReport<string | undefined> | undefined;
  /** Why the last snapshot of this process failed, if it did. `code` is absent for a system call's error. */
  lastError: { code: string | undefined; message: string } | undefined;
}

/**
 * Why there is no snapshot. Errors of the system are as Node's own: `code` names the errno, and `errno`, `syscall` and
 * `path` are there.
 */
export interface HeapdumpError extends Error {
  code: HeapdumpErrorCode | (string & {});
  errno?: number | undefined;
  syscall?: string | undefined;
  path?: string | undefined;
}

/** The codes of this package; docs/errors.md says what each means and what to do. */
export type HeapdumpErrorCode =
  | 'ABORT_ERR'
  | 'ERR_ACCESS_DENIED'
  | 'ERR_HEAPDUMP_BUSY'
  | 'ERR_HEAPDUMP_CHILD_CRASHED'
  | 'ERR_HEAPDUMP_CHILD_HUNG'
  | 'ERR_HEAPDUMP_CHILD_KILLED'
  | 'ERR_HEAPDUMP_CLOSED'
  | 'ERR_HEAPDUMP_CORE'
  | 'ERR_HEAPDUMP_EXPORT'
  | 'ERR_HEAPDUMP_FORK_UNAVAILABLE'
  | 'ERR_HEAPDUMP_IMAGE_FAILED'
  | 'ERR_HEAPDUMP_IMAGE_INVALID'
  | 'ERR_HEAPDUMP_IMAGE_MACHINE'
  | 'ERR_HEAPDUMP_IMAGE_UNSUPPORTED'
  | 'ERR_HEAPDUMP_INCOMPLETE'
  | 'ERR_HEAPDUMP_ANALYZE'
  | 'ERR_HEAPDUMP_INTERNAL'
  | 'ERR_HEAPDUMP_LEAK'
  | 'ERR_HEAPDUMP_MISSING_PEER'
  | 'ERR_HEAPDUMP_NO_BINARY'
  | 'ERR_HEAPDUMP_NOT_A_FILE'
  | 'ERR_HEAPDUMP_NOT_RESPONDING'
  | 'ERR_HEAPDUMP_NO_MEMORY'
  | 'ERR_HEAPDUMP_ENCRYPT'
  | 'ERR_HEAPDUMP_ENCRYPTED'
  | 'ERR_HEAPDUMP_NO_REPORT'
  | 'ERR_HEAPDUMP_OUTPUT_STALLED'
  | 'ERR_HEAPDUMP_OUTSIDE'
  | 'ERR_HEAPDUMP_REDACT'
  | 'ERR_HEAPDUMP_TIMEOUT'
  | 'ERR_HEAPDUMP_UNSUPPORTED'
  | 'ERR_INVALID_ARG_VALUE';

/** The stream of {@link createSnapshotStream}: emits 'report' once, before 'end'. */
export interface SnapshotStream extends Readable {
  /** What the bytes are. With `lowMemory: 'image'` it is certain from the first of them on. */
  readonly kind: 'snapshot' | 'image';
  on(event: 'report', listener: (report: SnapshotReport<undefined>) => void): this;
  on(event: 'error', listener: (error: HeapdumpError) => void): this;
  on(event: string | symbol, listener: (...args: any[]) => void): this;
  once(event: 'report', listener: (report: SnapshotReport<undefined>) => void): this;
  once(event: 'error', listener: (error: HeapdumpError) => void): this;
  once(event: string | symbol, listener: (...args: any[]) => void): this;
}

/** A message of the diagnostics channel `heapdump-rs:snapshot`. */
export type SnapshotMessage = SnapshotStartMessage | SnapshotEndMessage | SnapshotErrorMessage;

/** A snapshot was asked for by a call. One that nobody called for (a signal, a limit) sends 'end' or 'error' alone. */
export interface SnapshotStartMessage {
  type: 'start';
  /** As passed; absent for a default name and for a stream. */
  path?: string | undefined;
  /** What was asked for. */
  mode: 'fork' | 'inline';
}

/** A snapshot is complete. */
export interface SnapshotEndMessage {
  type: 'end';
  report: SnapshotReport<string | Buffer | undefined>;
  /** The signal that asked for it, `SIGUSR2` for instance. */
  signal?: string | undefined;
  /** Why a monitor took it: `rss` for instance; see `heapdump-rs/monitor`. */
  reason?: string | undefined;
}

/** A snapshot failed. */
export interface SnapshotErrorMessage {
  type: 'error';
  error: HeapdumpError;
  path?: string | undefined;
  /** The signal that asked for it, `SIGUSR2` for instance. */
  signal?: string | undefined;
  /** Why a monitor took it: `rss` for instance; see `heapdump-rs/monitor`. */
  reason?: string | undefined;
}

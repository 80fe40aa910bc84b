import type { SnapshotOptions, SnapshotReport } from '../index.js';

export type {
  Filename,
  HeapdumpError,
  HeapdumpErrorCode,
  SnapshotOptions,
  SnapshotProgress,
  SnapshotReport,
} from '../index.js';

/**
 * Writes a snapshot of the calling thread's heap, as `writeSnapshot` of the main entry does. Resolves with the report of
 * the complete file; rejects with a `HeapdumpError`, and with a `TypeError` for wrong options. Loading this entry does
 * not install the signal.
 *
 * @param filename Default: as `writeSnapshot` of the main entry.
 */
export function writeSnapshot(filename: Buffer, options?: SnapshotOptions): Promise<SnapshotReport<Buffer>>;
export function writeSnapshot(filename?: string | URL | null, options?: SnapshotOptions): Promise<SnapshotReport>;
export function writeSnapshot(options: SnapshotOptions): Promise<SnapshotReport>;

/**
 * Has another process leave a report beside a snapshot: a page that says what is in it, without contents of strings. Of several, of
 * one process and the earliest first, also what grew. That process goes behind this one in every queue. It is not begun, or ended,
 * where it would take more than half of the memory that is left: this rejects with `ERR_HEAPDUMP_NO_REPORT` then. It does not keep
 * the event loop alive.
 *
 * @param output Default: `a.report.html` for `a.heapsnapshot`. An older file stays, and is taken for it.
 */
export function leaveReport(snapshots: string | URL | readonly (string | URL)[], output?: string): Promise<string>;

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

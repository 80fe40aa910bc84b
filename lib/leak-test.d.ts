import type { LeaksReport } from './analyze';

/** Something that grew with the runs: what it is, what holds it, where it is made, what to do. */
export type LeakSuspect = LeaksReport['suspects'][number];

export interface LeakTestOptions {
  /** How many runs a round of one has; the first look has rounds of one, three and two. Default 20, at least 5. */
  iterations?: number;
  /** Runs before the first snapshot, which fill caches and get code compiled. Default: as many as `iterations`. */
  warmup?: number;
  /** What may grow: a text or a pattern that is in the suspect's `sentence`, or a function that says so. */
  allow?: AllowedLeak | AllowedLeak[];
  /** How many bytes may stay of a run, of all suspects together. Default 0. */
  max?: number;
  /** Where the snapshots of a leak are kept, compressed, in a directory of their own, with a page about them. Default: nowhere. */
  directory?: string;
}

export type AllowedLeak = string | RegExp | ((suspect: LeakSuspect) => boolean);

/**
 * Does the work again and again, with snapshots between, and rejects with a {@link LeakError} if something stays of it: what grew in
 * each round in proportion to its runs, and again in a second set of rounds. What the test runner keeps does not count.
 *
 * @param work Gets the number of the run, from 0. What it rejects with is passed on.
 */
export function expectNoLeak(work: (run: number) => unknown, options?: LeakTestOptions): Promise<void>;

/** A leak. The message says all of it. */
export class LeakError extends Error {
  readonly code: 'ERR_HEAPDUMP_LEAK';
  readonly name: 'LeakError';
  /** What leaks, what grew most first. */
  readonly suspects: LeakSuspect[];
  /** The files that are kept, the earliest first; empty without `directory`. */
  readonly snapshots: string[];
  /** A page about them; absent without `directory`, or where it could not be made. */
  readonly report?: string | undefined;
  private constructor();
}

import type { ImageOptions, Redaction } from '../index.js';
import type { Exporter } from './exporters.js';

/** A singleton: calling it again returns the first instance. */
declare function oomHeapdump(options?: oomHeapdump.OomHeapdumpOptions): oomHeapdump.OomHeapdump;

declare namespace oomHeapdump {
  /**
   * Options of node-oom-heapdump, of its first version and its last. Ours are `output: 'image'`, with which the process can end a
   * moment after its limit, and `lowMemory: 'image'`, which leaves evidence where no snapshot fits: `….heapimage`.
   */
  interface OomHeapdumpOptions extends ImageOptions {
    /**
     * Percent of V8's heap limit: a snapshot is taken when the used heap after a full garbage collection exceeds it.
     * Armed only when given.
     */
    threshold?: number;
    /** Snapshots for `threshold` at most. Default: 3. */
    limit?: number;
    /** The snapshot's path (first version); `.heapsnapshot` is added. */
    name?: string;
    /**
     * The snapshot's path; `.heapsnapshot` is added. Ours: `{pid}`, `{host}`, `{thread}`, `{time}`, `{reason}` and `{title}` in its
     * last part, and then a number where the name is taken. Default: `OoM-pid-<pid>`, or `name=` of `NODE_HEAPDUMP_OPTIONS`, in the
     * directory of `dir=`, else Node's `--diagnostic-dir`, else the current one.
     */
    path?: string;
    /** Ours: takes the texts out of the snapshots while the child writes. Default: false. */
    redact?: boolean | Redaction;
    encryptTo?: string | readonly string[];
    /** Adds `-YYYYMMDDTHHMMSS` to the path. Default: false. */
    addTimestamp?: boolean;
    /** Takes a snapshot at V8's heap limit and then ends the process with status 1 (Linux). Default: true. */
    heapdumpOnOOM?: boolean;
    /**
     * Ours: what happens once the snapshot at V8's heap limit is taken. `'exit'` (default, as node-oom-heapdump): the
     * process ends with status 1 when the file is complete; a worker ends as one does that is out of memory. `'wait'`: it
     * goes on then, with a limit that is a tenth higher (in a worker 64 MB at least); `'continue'`: as soon as the child is
     * forked. V8 restores the limit when the heap has shrunk below three quarters of it.
     */
    atLimit?: 'exit' | 'wait' | 'continue';
    /**
     * Ours: when a small JSON record (`….heapsnapshot.json`: time, process, memory, limits, whether the snapshot is
     * complete and what it cost; heap statistics by space, the top of V8's sampling heap profile if that is on, the last
     * thresholds a monitor saw) is left: beside each snapshot at the limit (`'always'`, the default) or only in the place
     * of one that failed (`'failure'`).
     */
    record?: 'failure' | 'always';
    /**
     * Ours: takes the snapshots at the limit and for `threshold`, and removes the file here when it has arrived. A process that
     * ends at the limit has no time for it: what it left is exported when the program starts again.
     */
    exporter?: { export: Exporter['export']; prepare?: Exporter['prepare'] };
    /**
     * Ours: another process leaves a page about each snapshot beside it, `….report.html`. Of what a process left that ended at the
     * limit the next one does so, some time after its start. Default: false.
     */
    report?: boolean;
    /** Accepted; there is one implementation. */
    OOMImplementation?: 'NATIVE_HOOK';
    /** Accepted and not used: no inspector is needed. */
    port?: number;
  }

  /** node-oom-heapdump's API. While one file is made, another call rejects. */
  interface OomHeapdump {
    /** Resolves with the snapshot's path. Taken in process where no child can be forked. */
    createHeapSnapshot(snapshotPath?: string): Promise<string>;
    /** Rejects a path that this did not create. */
    deleteHeapSnapshot(snapshotPath: string): Promise<string>;
    deleteAllHeapSnapshots(): Promise<string[]>;
    /** Profiles the CPU for `duration` ms (default 30000); resolves with the profile's path. */
    createCpuProfile(cpuProfilePath?: string, duration?: number): Promise<string>;
    /** Rejects a path that this did not create. */
    deleteCpuProfile(cpuProfilePath: string): Promise<string>;
    deleteAllCpuProfiles(): Promise<string[]>;
  }
}

export = oomHeapdump;

/** Where something is in the source; lines and columns count from 1. */
export interface SourcePlace {
  script: string | null;
  scriptId: number;
  line: number;
  column: number;
}

export interface ObjectRef {
  id: number;
  name: string;
  class: string;
  type: string;
  shallowSize: number;
  retainedSize: number;
  /** References from the nearest root; null if nothing leads to it. */
  distance: number | null;
}

export interface Reference {
  type: string;
  name: string;
  object: ObjectRef;
}

export interface PathReport {
  /** In words: `server.js: sessions → Map → [key] → Session`. */
  text: string;
  /** How many steps before those below are left out; absent for none. */
  leftOut?: number;
  steps: Reference[];
}

export interface Rows {
  /** How many rows; 0, the default, for all. */
  limit?: number;
  /** Only rows whose name contains this, in any case. */
  filter?: string | null;
  sort?: 'retained' | 'shallow' | 'count' | 'name';
}

/** A filter of DevTools' summary. */
export type NamedFilter = 'duplicated-strings' | 'detached-dom-nodes' | 'console' | 'event-handlers' | 'contexts';

export interface Selection {
  /** Only what this filter of DevTools shows. */
  only?: NamedFilter | null;
  /**
   * Only what would be freed without these: an object ('@123'), or all of a class (a name, or a regular expression). It is found by
   * looking anew at what the roots reach.
   */
  without?: string | RegExp | Array<string | RegExp>;
}

/** What `only` and `without` select. */
export interface SelectionReport {
  /** How many objects `without` names; null if it was not asked. */
  without: number | null;
  objects: number;
  /** With `without`: what would be freed. */
  shallowSize: number;
  retainedSize: number;
}

export interface ObjectsQuestion extends Selection {
  /** A class: its name, or a regular expression with no flag but `i`. */
  class?: string | RegExp | null;
  /**
   * What must hold, such as `retained > 1MB and edges > 100`; see docs/cli.md. An error shows the place in the text.
   */
  where?: string | null;
  /** Properties or variables that the objects have, and whose values are given. */
  properties?: string[];
  sort?: 'retained' | 'shallow' | 'distance' | 'edges' | 'name' | 'class' | 'id';
  /** How many objects a page has; 0, the default, for all. */
  limit?: number;
  /** Which page, from 1. */
  page?: number;
  /** Only objects whose name contains this, in any case. */
  filter?: string | null;
}

export interface ObjectsReport {
  /** How many objects fit. */
  count: number;
  shallowSize: number;
  /** What they retain together: one within another counts once. */
  retainedSize: number;
  selection?: SelectionReport;
  page: number;
  pages: number;
  objects: Array<ObjectRef & { edges: number; detached: boolean; properties?: Record<string, ObjectRef> }>;
}

/** How to look at what holds an object. */
export interface View {
  /** Objects to leave out, with all that leads through them: DevTools' "Ignore this retainer". */
  ignore?: number | string | Array<number | string>;
  /** Only objects and functions, without what V8 keeps between. */
  jsOnly?: boolean;
}

export interface SummaryReport {
  nodes: number;
  edges: number;
  totalSize: number;
  classCount: number;
  /** With `only` or `without`: what `classes` is made of. */
  selection?: SelectionReport;
  classes: Array<{
    name: string;
    key: string;
    location: { scriptId: number; line: number; column: number } | null;
    count: number;
    shallowSize: number;
    retainedSize: number;
    distance: number;
  }>;
  missing: string[];
}

/** The heap by whose code made and holds it; the rule is in docs/analyze.md. */
export interface SharesReport {
  by: 'package' | 'script';
  totalSize: number;
  shareCount: number;
  shares: Array<{
    /** An npm package, `(application)`, `(node)` or `(unknown)`. */
    package: string;
    /** Where the scripts' paths have it: with pnpm, Bun, Deno and Yarn from 2 on. */
    version: string | null;
    /** Only by script. */
    script?: string;
    count: number;
    /** Each byte belongs to one: these add up to the whole. */
    shallowSize: number;
    /** What would be freed with all of it; null for what belongs to nobody. */
    retainedSize: number | null;
  }>;
}

export interface Statistics {
  total: number;
  native: number;
  typedArrays: number;
  v8Heap: number;
  code: number;
  strings: number;
  jsArrays: number;
  system: number;
}

export interface IdAgreement {
  shared: number;
  sameNode: number;
  uniqueStrings: number;
  sameString: number;
}

export interface CompareReport {
  baseSize: number;
  targetSize: number;
  /** Whether an id means the same object in both. */
  idsComparable: boolean;
  matchedById: boolean;
  idAgreement: IdAgreement;
  changedClasses: number;
  classes: Array<{
    name: string;
    key: string;
    /** null where objects were not matched by id. */
    added: number | null;
    removed: number | null;
    addedSize: number | null;
    removedSize: number | null;
    countDelta: number;
    sizeDelta: number;
    retainedDelta: number;
    objects?: Array<{
      change: 'added' | 'removed';
      id: number;
      name: string;
      shallowSize: number;
      retainedSize: number;
    }>;
  }>;
}

export interface LeaksReport {
  totalSizes: number[];
  idsComparable: boolean;
  matchedById: boolean;
  idAgreement: IdAgreement;
  suspectCount: number;
  growth: number;
  suspects: Array<{
    class: string;
    heldBy: string | null;
    /** What grew and how fast, what holds it, where it is made, what to do: `what`, `held`, `path`, `functions` and `advice` in a few sentences. */
    sentence: string;
    what: string;
    /** The one object that holds all of them, by its name in the code. */
    held: string | null;
    advice: string;
    /**
     * The functions that they hold, or are (callbacks of timers, listeners, awaiting functions), and by how many each: the
     * application's where there are some, else the packages'. The name is empty for one without.
     */
    functions: HeldFunction[];
    counts: number[];
    retainedSizes: number[];
    growth: number;
    survivors: number | null;
    /** Whose they are: an npm package, `(application)`, `(node)` or `(unknown)`. */
    package: string;
    /** The script of the code that keeps them: of the nearest object, function or variable on the path. */
    keptBy: string | null;
    instrument: Instrument | null;
    location: SourcePlace | null;
    holder: ObjectRef | null;
    /**
     * One object that was there before and whose growth is at least half of theirs, in each snapshot; `example`, `path` and
     * `objects` are its. `elements` counts those that are objects.
     */
    container: { elements: number[]; retainedSizes: number[] } | null;
    example: ObjectRef;
    path: PathReport;
    objects?: Array<{ object: ObjectRef; path: string }>;
  }>;
}

export interface Rates {
  /** From the first to the last snapshot, in bytes. */
  total: number;
  perStep: number;
  /** null where the times do not tell. */
  perHour: number | null;
  /** null without `--per`. */
  perUnit: number | null;
}

/** What `trend()` and `heapdump-rs trend --json` answer. */
export interface TrendReport {
  snapshots: Array<{ file: string; /** Seconds after the first. */ time: number | null; totalSize: number }>;
  timesFrom: 'records' | 'names' | 'files' | null;
  hours: number | null;
  per: number | null;
  /** Of the whole heap. */
  growth: Rates;
  /** How many groups grew in every step. */
  everyStep: number;
  groups: Array<{
    class: string;
    heldBy: string | null;
    everyStep: boolean;
    counts: number[];
    retainedSizes: number[];
    growth: Rates;
    /** What a program calls the one object that grew, if it is one. */
    container: string | null;
    location: SourcePlace | null;
    example: ObjectRef;
    path: PathReport;
  }>;
  /** With `--against`; bytes are of a step. */
  against?: {
    fixed: boolean;
    verdicts: Array<{
      class: string;
      heldBy: string | null;
      verdict: 'fixed' | 'better' | 'same' | 'worse' | 'new';
      before: number | null;
      now: number;
    }>;
  };
}

export interface ObjectReport {
  object: ObjectRef;
  location: SourcePlace | null;
  /** The functions that allocated it, the innermost first; only in a snapshot made while allocations were tracked. */
  allocatedBy?: Array<{ function: string; script: string; scriptId: number; line: number; column: number }>;
  dominator: ObjectRef;
  referenceCount: number;
  references: Reference[];
  retainerCount: number;
  retainers: Reference[];
  path: PathReport;
}

export interface StringsReport {
  duplicates: number;
  wastedSize: number;
  strings: Array<{
    text: string;
    count: number;
    shallowSize: number;
    retainedSize: number;
    wastedSize: number;
    exampleId: number;
  }>;
}

export interface SuspectsReport {
  totalSize: number;
  suspects: Array<{
    class: string;
    count: number;
    retainedSize: number;
    object: ObjectRef;
    accumulationPoint: ObjectRef | null;
    path: PathReport;
    package: string;
    functions: HeldFunction[];
    advice: string;
  }>;
  /** What stands out besides, what keeps most first. */
  inspections: InspectionReport[];
}

/** A function that objects hold or are, and how many do. The name is empty for one without. */
export interface HeldFunction {
  name: string;
  place: SourcePlace;
  count: number;
}

/** A tool that keeps something, and not the application. */
export type Instrument = 'inspector' | 'test-runner' | 'performance-timeline' | 'heapdump';

export interface InspectionReport {
  kind:
    | 'listeners' | 'timers' | 'pending-promises' | 'waiting' | 'suspended-functions' | 'large-collection' | 'empty-collections'
    | 'sparse-array' | 'sliced-strings' | 'joined-strings' | 'duplicate-strings' | 'buffers' | 'async-stores' | 'vm-contexts'
    | 'package-copies' | 'streams' | 'errors' | 'other';
  /** How many there are: of listeners, of entries, of copies. */
  count: number;
  /** The bytes that they keep, or that would be saved. */
  bytes: number;
  /** What tells it from others of its kind: an event, a class, a package, a text. */
  name: string;
  what: string;
  advice: string;
  /** Which instrument leaves it, if it is not the application's. */
  instrument: Instrument | null;
  package: string;
  /** The one that it is about, or the largest. */
  example: ObjectRef;
  location: SourcePlace | null;
  path: PathReport;
  functions: HeldFunction[];
}

/** A node of the tree of a heap: one object, or all others of a class at one place. */
export interface TreeNode {
  /** `@123` for an object, `c12` for a class: how to go there by `within`. */
  key: string;
  class: string;
  /** What a program calls the object, if it is one and has a name. */
  name?: string;
  /** The object, or the largest of the class. */
  id: number;
  count: number;
  /** Bytes, or objects, here and below. */
  size: number;
  /** Those of the objects themselves, with what only stores what is theirs. */
  own: number;
  /** The largest first; what is too small to be told is missing. */
  children?: TreeNode[];
}

export interface TreeQuestion {
  /** What makes an object stand below another: it is freed with it, or the shortest way leads over it. */
  by?: 'dominators' | 'paths';
  measure?: 'bytes' | 'objects';
  /** The object at the root. */
  of?: number | string | null;
  /** The keys of the nodes to go to from there, one below the other. */
  within?: string[];
  /** About how many nodes; 700 by default. */
  limit?: number;
}

/** An object's page; `references` are the largest first, and V8's own links last. */
export interface ObjectPage extends ObjectReport {
  /** What a program calls it: `` `sessions` in server.js ``. */
  named: string | null;
  /** What it alone keeps alive, by class: what would be freed with it. */
  keeps: TreeNode[];
}

/** All that a report says of one heap. */
export interface HeapReport {
  statistics: Statistics;
  summary: SummaryReport;
  suspects: SuspectsReport;
  tree: TreeNode;
  objects: ObjectPage[];
  strings: StringsReport;
  packages: SharesReport;
}

/** What `heapdump-rs report -o report.json` writes, and a page is made of. */
export interface Report {
  schemaVersion: 1;
  command: 'report';
  /** What matters most, in a sentence or two. */
  headline: string;
  /** Whether contents of strings are in it. */
  values: boolean;
  /** The files, the earliest first. */
  files: string[];
  /** The JSON beside each: why and when it was taken. */
  records: Array<Record<string, unknown> | null>;
  /** The last of them. */
  heap: HeapReport;
  /** Over all of them, where there are several. */
  trend: TrendReport | null;
  /** In the first, the one in the middle and the last. */
  leaks: LeaksReport | null;
}

export type Match = 'auto' | 'id' | 'class';

/** A loaded snapshot. What takes long is computed when it is first asked for, once, off the main thread. */
export class Snapshot {
  private constructor();
  summary(options?: Rows & Selection & { by?: 'class' }): Promise<SummaryReport>;
  summary(options: Rows & { by: 'package' | 'script' }): Promise<SharesReport>;
  objects(options?: ObjectsQuestion): Promise<ObjectsReport>;
  statistics(): Promise<Statistics>;
  strings(options?: Rows): Promise<StringsReport>;
  suspects(options?: { threshold?: number }): Promise<SuspectsReport>;
  inspect(id: number | string, options?: Rows): Promise<ObjectReport>;
  retainers(id: number | string, options?: Rows & View): Promise<Reference[]>;
  /** The shortest way to an object from a root, of a long one the last `limit` steps; no steps if there is none. */
  path(id: number | string, options?: View & { limit?: number }): Promise<PathReport>;
  /** What an object immediately dominates; without one, the objects that retain most. */
  dominators(id?: number | string | null, options?: Rows): Promise<ObjectRef[]>;
  /** All that a report shows; without the contents of strings unless `values` is true. */
  report(options?: { values?: boolean }): Promise<HeapReport>;
  /** An object's page, with so many fields and retainers. */
  page(id: number | string, options?: Rows & { values?: boolean }): Promise<ObjectPage>;
  /** The heap as a tree, merged by class. */
  tree(options?: TreeQuestion): Promise<TreeNode>;
  compare(target: Snapshot, options?: Rows & { match?: Match; objects?: boolean }): Promise<CompareReport>;
  /** Frees the memory now rather than when the object is collected. */
  close(): void;
}

/**
 * Loads a snapshot, which may be compressed (.gz, .zst). The error for a file that is something else says what and what to do,
 * and has its stable name as `found`: 'git-lfs-pointer', 'web-page', 'cpu-profile', 'empty' …
 */
export function open(path: string, options?: {
  salvage?: boolean;
  /** Give places in what the scripts were compiled from, by source maps beside them or within. */
  sourceMaps?: boolean;
  /** A directory to look for scripts and their source maps in too. */
  sourceRoot?: string;
  /** A file of age's identities, as `age-keygen` writes it, for a snapshot that is encrypted (`.age`); or several. */
  identity?: string | string[];
  /** Told now and then how many bytes of the file have been read. */
  onProgress?: (bytes: number) => void;
}): Promise<Snapshot>;

/** Finds what grows and is still held in two or three snapshots of one process, the earliest first. */
export function findLeaks(
  snapshots: Snapshot[],
  options?: Rows & { match?: Match; traceAllObjects?: boolean },
): Promise<LeaksReport>;

/** What grows over snapshots of one process, the earliest first. */
export function trend(
  snapshots: Snapshot[],
  options?: {
    /** The files' names, which may tell their times. */
    files?: string[];
    /** How many units of work were done from one to the next. */
    per?: number;
    limit?: number;
  },
): Promise<TrendReport>;

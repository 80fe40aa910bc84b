/// <reference types="node" />

// Types of heapdump-rs/openprofiling: OpenProfiling's names and contracts.

import type { Session } from 'node:inspector';
import type { Readable } from 'node:stream';

import type { ForkOptions } from '../index.js';

export {
  AzureBlobExporter,
  FileExporter,
  GCSExporter,
  GCSExporter as GcloudStorageExporter,
  S3Exporter,
  WebhookExporter,
} from './exporters.js';

/** Runs a profiler when its trigger fires, and hands its profile to the exporter. */
export class ProfilingAgent implements Agent {
  readonly active: boolean;
  readonly takesStreams: boolean;
  readonly logger: Logger;
  /** Before `start`. */
  register(trigger: Trigger, profiler: Profiler): this;
  /** What fails from then on is a process warning (`HeapdumpWarning`). */
  start(options: { exporter: ProfileListener & Lifecycle; logLevel?: number | undefined }): this;
  stop(): this;
  isStarted(): boolean;
  onTrigger(state: TriggerState, options: TriggerEventOptions): void;
  registerProfileListener(listener: ProfileListener): void;
  unregisterProfileListener(listener: ProfileListener): this;
  notifyStartProfile(profile: Profile): Promise<void>;
  notifyEndProfile(profile: Profile): Promise<void>;
}

/** The signal starts a profile and the next one ends it; of heap snapshots each signal takes one. */
export class SignalTrigger implements Trigger {
  readonly name: string;
  constructor(options: { signal: NodeJS.Signals });
  enable(agent: Agent): void;
  disable(): void;
}

/** Each trigger is a snapshot by a forked child. */
export class HeapSnapshotProfiler implements Profiler {
  constructor(options?: HeapSnapshotProfilerOptions);
  enable(agent: Agent): void;
  disable(): void;
  onTrigger(state: TriggerState, options?: Partial<TriggerEventOptions>): Promise<void>;
}

/** Upstream's name. */
export const InspectorHeapSnapshot: typeof HeapSnapshotProfiler;
export type InspectorHeapSnapshot = HeapSnapshotProfiler;

export interface HeapSnapshotProfilerOptions
  extends Pick<
    ForkOptions,
    'mode' | 'fallback' | 'compress' | 'redact' | 'encryptTo' | 'stableIds' | 'exposeInternals' | 'exposeNumericValues' | 'timeout'
  > {
  /** Accepted; none is needed. */
  session?: Session | undefined;
  /** For the files that agents and exporters get which know no streams. Default: the system's temporary directory. */
  directory?: string | undefined;
}

/** The CPU between two triggers: `.cpuprofile`. */
export class InspectorCPUProfiler implements Profiler {
  constructor(options?: { session?: Session | undefined });
  enable(agent: Agent): void;
  disable(): void;
  onTrigger(state: TriggerState, options?: Partial<TriggerEventOptions>): Promise<void>;
}

/** Sampled allocations between two triggers: `.heapprofile`. */
export class InspectorHeapProfiler implements Profiler {
  /** `samplingInterval` in bytes, default 8192. */
  constructor(options?: { session?: Session | undefined; samplingInterval?: number | undefined });
  enable(agent: Agent): void;
  disable(): void;
  onTrigger(state: TriggerState, options?: Partial<TriggerEventOptions>): Promise<void>;
}

export class Profile {
  constructor(name: string, kind: ProfileType);
  name: string;
  kind: ProfileType;
  status: ProfileStatus;
  attributes: Record<string, string | number | boolean>;
  startTime: Date;
  endTime: Date | undefined;
  /** A path, or a function that gives a Readable. */
  source: string | (() => Readable) | undefined;
  /** Of its file's name. */
  extension: string | undefined;
  /** Everything, in memory: for exporters that know nothing else. */
  readonly data: Buffer;
  readonly started: boolean;
  readonly ended: boolean;
  readonly duration: number;
  addAttribute(key: string, value: string | number | boolean): void;
  addProfileData(data: Buffer): void;
  end(error?: Error): void;
}

export const ProfileType: {
  readonly HEAP_SNAPSHOT: 'HEAP_SNAPSHOT';
  readonly HEAP_PROFILE: 'HEAP_PROFILE';
  readonly CPU_PROFILE: 'CPU_PROFILE';
  readonly PERFECTO: 'PERFECTO';
};
export type ProfileType = (typeof ProfileType)[keyof typeof ProfileType];

export const ProfileStatus: { readonly UNKNOWN: 0; readonly SUCCESS: 1; readonly FAILED: 2 };
export type ProfileStatus = (typeof ProfileStatus)[keyof typeof ProfileStatus];

export const TriggerState: { readonly START: 1; readonly END: 0 };
export type TriggerState = (typeof TriggerState)[keyof typeof TriggerState];

export interface TriggerEventOptions {
  source: Trigger;
  name?: string | undefined;
  attributes?: Record<string, string | number | boolean> | undefined;
}

export interface Lifecycle {
  enable(agent: any): void;
  disable(): void;
}

export interface Trigger extends Lifecycle {}

export interface Profiler extends Lifecycle {
  onTrigger(state: any, options: any): unknown;
}

export interface ProfileListener {
  onProfileStart(profile: any): Promise<unknown>;
  onProfileEnd(profile: any): Promise<unknown>;
}

/** What triggers and profilers need of an agent, ours or upstream's. */
export interface Agent {
  onTrigger?(state: any, options: any): void;
  notifyStartProfile(profile: any): unknown;
  notifyEndProfile(profile: any): unknown;
  /** Whether its exporter takes a profile's `source` instead of its `data`. */
  readonly takesStreams?: boolean;
}

export interface Logger {
  level: number;
  error(...words: unknown[]): void;
  warn(...words: unknown[]): void;
  info(...words: unknown[]): void;
  debug(...words: unknown[]): void;
}

/// <reference types="node" />

// Types of heapdump-rs/exporters. docs/exporters.md has the contract and complete examples.

import type { Readable } from 'node:stream';

import type { SnapshotReport, StreamOptions } from '../index.js';

/** A path, a function that gives a new Readable each time it is called, or a Readable (which cannot be tried again). */
export type Source = string | URL | (() => Readable) | Readable;

export interface ExportOptions {
  /** Of the file or object, without directories. Default: the path's own, or a unique one. */
  name?: string | undefined;
  /** Aborting it ends the export and its source. */
  signal?: AbortSignal | undefined;
}

export interface Exported {
  /** A path, `s3://bucket/key`, `gs://bucket/key`, or an address without its query. */
  location: string;
  bytes: number;
  /** Of what was stored, in hexadecimal. */
  sha256: string;
}

/**
 * What all exporters are. `export` rejects with the source's own error, or with `ERR_HEAPDUMP_EXPORT` (`cause` is the
 * store's) or `ERR_HEAPDUMP_MISSING_PEER` (`packages` is what to install).
 */
export abstract class Exporter {
  export(source: Source, options?: ExportOptions): Promise<Exported>;
  /** Loads what the exporter needs. For programs that want to know at their start that it is there. */
  prepare(): Promise<void>;
  // OpenProfiling's contract for exporters.
  enable(agent: unknown): void;
  disable(): void;
  onProfileStart(profile: unknown): Promise<void>;
  onProfileEnd(profile: any): Promise<any>;
}

/** Into a directory: whole files with mode 0600. */
export class FileExporter extends Exporter {
  constructor(options?: FileExporterOptions);
}

/** Amazon S3 and compatible stores. Needs `@aws-sdk/client-s3` and `@aws-sdk/lib-storage`. */
export class S3Exporter extends Exporter {
  constructor(options: S3ExporterOptions);
}

/** Azure Blob Storage. Needs `@azure/storage-blob`. */
export class AzureBlobExporter extends Exporter {
  constructor(options: AzureBlobExporterOptions);
}

/** Google Cloud Storage. Needs `@google-cloud/storage`. */
export class GCSExporter extends Exporter {
  constructor(options: GCSExporterOptions);
}

/** One streamed POST. */
export class WebhookExporter extends Exporter {
  constructor(options: WebhookExporterOptions);
}

/** Takes a snapshot and hands it to the exporter while the child writes it: nothing lands on this machine's disk. */
export function exportSnapshot(
  exporter: Pick<Exporter, 'export'>,
  options?: StreamOptions & { name?: string | undefined },
): Promise<Exported & { report: SnapshotReport<undefined> }>;

export interface FileExporterOptions {
  /** Made with mode 0700 if it is not there. Default: the system's temporary directory. */
  directory?: string | undefined;
  /** OpenProfiling's name for `directory`. */
  path?: string | undefined;
  /** Snapshots and profiles that stay, the newest. Default: all. Needs a `directory`, which is the exporter's own. */
  keep?: number | undefined;
  /** Milliseconds after which they go. Default: never. Needs a `directory` too. */
  maxAge?: number | undefined;
  /** Permission bits. Default `0o600`. */
  fileMode?: number | undefined;
  /** Another process leaves a page about each snapshot beside it, a while after the export is done. Default `false`. */
  report?: boolean | undefined;
}

export interface S3ExporterOptions {
  bucket: string;
  /** Before each name: `'app/production/'`. */
  prefix?: string | undefined;
  /** An `S3Client` of the application's. */
  client?: object | undefined;
  /** For a new `S3Client`: `region`, `endpoint`, `credentials`, … */
  clientOptions?: object | undefined;
  /** Of each upload: `ServerSideEncryption`, `SSEKMSKeyId`, `StorageClass`, `Tagging`, … A public ACL is refused. */
  params?: Record<string, unknown> | undefined;
  /** Bytes; at least 5 MiB, S3 takes 10,000 of them. Default 8 MiB. */
  partSize?: number | undefined;
  /** Parts under way, each in memory. Default 2. */
  concurrency?: number | undefined;
}

export type AzureBlobExporterOptions = {
  prefix?: string | undefined;
  /** Bytes; Azure takes 50,000 of them. Default 8 MiB. */
  blockSize?: number | undefined;
} & (
  | { /** A `ContainerClient` of the application's. */ client: object }
  | { connectionString: string; container: string }
  | { /** Of the account, with or without a shared access signature. */ url: string; credential?: object; container: string }
);

export interface GCSExporterOptions {
  bucket: string;
  prefix?: string | undefined;
  /** A `Storage` of the application's. */
  storage?: object | undefined;
  /** For a new `Storage`: `projectId`, `keyFilename`, … */
  storageOptions?: object | undefined;
  /** Bytes, a multiple of 256 KiB. Default 8 MiB. */
  chunkSize?: number | undefined;
}

export interface WebhookExporterOptions {
  /** `https:`, or `http:` to this machine. */
  url: string | URL;
  /** Default `'POST'`. */
  method?: string | undefined;
  headers?: Record<string, string> | undefined;
  /** After a broken connection, and 408, 425, 429, 500, 502, 503, 504. Default 3. */
  retries?: number | undefined;
  /** Milliseconds in which nothing moves. Default 120000. */
  timeout?: number | undefined;
  /** Allows `http:` to other machines. Default `false`: a heap holds secrets. */
  insecure?: boolean | undefined;
}


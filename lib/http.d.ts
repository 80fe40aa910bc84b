/// <reference types="node" />

// Types of heapdump-rs/http. docs/http.md has complete examples.

import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Exporter } from './exporters.js';
import type { ForkOptions } from '../index.js';

/**
 * A handler for snapshots of this process. Give it a route of its own; it binds no port. Every request needs the token
 * (`Authorization: Bearer …`), `authorize`'s consent, or both where both are given.
 *
 * @throws {TypeError} without `token` and `authorize`, and for wrong options.
 */
export function snapshotHandler(options: SnapshotHandlerOptions): Handler;

/**
 * A handler for health checks: 200, or 503 while the heap or the resident memory of this process is over its limit. A
 * snapshot that runs is no reason: its child counts in neither.
 */
export function healthHandler(options?: HealthHandlerOptions): Handler;

/** One handler for all of them, as it is: `app.post('/debug/heap-snapshot', handler)`. */
export interface Handler {
  /** node:http and Express. */
  (request: IncomingMessage, response: ServerResponse, next?: unknown): Promise<void>;
  /** Fastify. */
  (request: { raw: IncomingMessage }, reply: { raw: ServerResponse; hijack(): unknown }): Promise<void>;
  /** Koa. */
  (context: { req: IncomingMessage; res: ServerResponse; respond?: boolean }, next?: unknown): Promise<void>;
  /** Hono on `@hono/node-server`. */
  (context: { env: any; req: { raw: Request } }, next?: unknown): Promise<Response>;
}

export type SnapshotHandlerOptions = HandlerOptions &
  ({ token: string | readonly string[]; authorize?: Authorize } | { token?: undefined; authorize: Authorize });

/** Only `true` is consent; whatever it throws is none. */
export type Authorize = (request: IncomingMessage) => boolean | Promise<boolean>;

export interface HandlerOptions {
  /** Answers GET as well as POST. Default `false`: links, prefetching and crawlers send GET. */
  allowGet?: boolean | undefined;
  /**
   * Names of this server besides `localhost` and any IP address: a request with another `Host` is refused, since a
   * page may have bound its own name to this server's address. `'any'` accepts all.
   */
  hosts?: readonly string[] | 'any' | undefined;
  /**
   * - `'accept'` (default): a stream is compressed on its way, for clients that accept gzip.
   * - `'gzip'`, `'zstd'`: the file itself is compressed, and its name says so.
   * - `false`: never.
   */
  compress?: 'accept' | 'gzip' | 'zstd' | false | undefined;
  /** Writes the snapshot into this directory and answers `{snapshot, size}`. Default: it is streamed to the client. */
  directory?: string | undefined;
  /** Hands the snapshot to this exporter and answers `{snapshot, size}`, `snapshot` being its location. */
  exporter?: Pick<Exporter, 'export'> | undefined;
  /**
   * Lets a client ask for a heap image by `?output=image` (`&embed=all`). Default `false`, which is 403: an image holds all memory
   * of the process, keys of TLS and its environment too. The owner's own choice is `snapshot: { output: 'image' }`, or
   * `lowMemory: 'image'`. An image is compressed by zstd unless `compress` is `false`; `X-Heapdump-Kind` says what is sent.
   */
  images?: boolean | undefined;
  /** Milliseconds between the beginnings of two snapshots. Default 10000. */
  minInterval?: number | undefined;
  /** Hears of every request. Default: a line on standard error. */
  log?: ((entry: LogEntry) => void) | false | undefined;
  /** Of the snapshot. Default: `fallback: 'error'` and `busy: 'reject'`. */
  snapshot?: Pick<
    ForkOptions,
    'output' | 'lowMemory' | 'redact' | 'encryptTo' | 'embed' | 'mode' | 'fallback' | 'stableIds' | 'exposeInternals' | 'exposeNumericValues' | 'timeout' | 'busy'
  >;
}

/** Who asked, and what came of it. */
export interface LogEntry {
  /** Of images alone. */
  kind?: 'image' | undefined;
  method: string;
  /** The address at the other end of the connection. */
  remote: string | undefined;
  /** What the client, or a proxy, says of itself. */
  forwardedFor?: string | undefined;
  /** 499 when the client went away. */
  status: number;
  /** Why there is none. */
  reason?: string | undefined;
  bytes?: number | undefined;
  /** Where it is, if not with the client. */
  snapshot?: string | undefined;
  /** Milliseconds. */
  duration?: number | undefined;
}

export interface HealthHandlerOptions {
  /** Bytes of the used heap; up to 1, a part of V8's limit. Default: no limit. */
  maxHeap?: number | undefined;
  /** Bytes of resident memory; up to 1, a part of the container's or the machine's. Default: no limit. */
  maxRss?: number | undefined;
}

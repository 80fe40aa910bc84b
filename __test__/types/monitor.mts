// The monitor's types as its user meets them, with the real types of its optional peers. Compiled, never run.

import { subscribe } from 'node:diagnostics_channel';

import { metrics } from '@opentelemetry/api';
import { S3Exporter } from 'heapdump-rs/exporters';
import { monitor } from 'heapdump-rs/monitor';
import type { Monitor, MonitorError, MonitorMessage, MonitorOptions, Reason, SnapshotEvent } from 'heapdump-rs/monitor';
import 'heapdump-rs/register';
import * as prom from 'prom-client';

/** Compiles only for exactly equal types. */
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const equal = <A, B>(_: Equal<A, B>): void => undefined;

const every: Required<MonitorOptions> = {
  threshold: ['80%', '500MB', 2 ** 30],
  external: '1GB',
  rss: 1.5e9,
  cgroup: '90%',
  growth: { percent: '50%', atLeast: '16MB' },
  every: '6h',
  oom: 'wait',
  dir: new URL('file:///var/tmp'),
  name: '{host}-{reason}-{time}',
  max: 3,
  keep: '2GB',
  free: '100MB',
  cooldown: '10m',
  hysteresis: '10%',
  interval: 1000,
  compress: 'gzip',
  output: 'snapshot',
  lowMemory: 'image',
  embed: 'auto',
  fileMode: 0o600,
  fallback: 'error',
  exposeInternals: false,
  exposeNumericValues: false,
  redact: true,
  encryptTo: 'age1…',
  metrics: { gauge: (name: string, value: number) => name.length + value },
  metricsInterval: '30s',
  report: true,
  exporter: new S3Exporter({ bucket: 'heap-dumps' }),
};
const watching: Monitor = monitor(every);
monitor();
monitor({ threshold: '80%', growth: true, oom: true });
// @ts-expect-error: a size is no percentage
monitor({ cgroup: '1GB' });
// @ts-expect-error: no such option
monitor({ tresholds: '80%' });

watching
  .on('threshold', ({ reason, value, limit }) => [reason satisfies Reason, value - limit])
  .on('snapshot', (event) => {
    equal<typeof event, SnapshotEvent>(true);
    event.report.path.trim();
    event.sidecar?.trim();
  })
  .on('exported', ({ reason, snapshot, location, bytes, sha256 }) => {
    [reason satisfies Reason, snapshot.trim(), location.trim(), bytes.toFixed(), sha256.trim()];
  })
  .once('skipped', ({ why, message }) => [why === 'cooldown' || why === 'busy', message.trim()])
  .on('error', (error) => {
    equal<typeof error, MonitorError>(true);
    [error.code.trim(), error.reason, error.path];
  });
// @ts-expect-error: no such event
watching.on('snapshots', () => undefined);

const values: Record<string, number> = watching.metrics();
const gauges: prom.Gauge[] = watching.toPrometheus(prom, { registers: [new prom.Registry()], prefix: 'app_' });
const end: () => void = watching.toOpenTelemetry(metrics.getMeter('app'));
watching.stop();

subscribe('heapdump-rs:monitor', (message) => {
  const told = message as MonitorMessage;
  if (told.type === 'error') told.error.message.trim();
  else if (told.type === 'snapshot') told.report.bytes.toFixed();
});

export { values, gauges, end };

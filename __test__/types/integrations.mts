// The types of the integrations, as an ES module's author meets them. Compiled, never run.

import http from 'node:http';
import * as inspector from 'node:inspector';

import { createSnapshotStream } from 'heapdump-rs';
import {
  AzureBlobExporter, FileExporter, GCSExporter, S3Exporter, WebhookExporter, exportSnapshot,
  type Exported, type Exporter,
} from 'heapdump-rs/exporters';
import { healthHandler, snapshotHandler, type Handler, type LogEntry } from 'heapdump-rs/http';
import oom from 'heapdump-rs/oom';
import {
  HeapSnapshotProfiler, InspectorCPUProfiler, InspectorHeapProfiler, InspectorHeapSnapshot, ProfilingAgent, SignalTrigger,
} from 'heapdump-rs/openprofiling';

// HTTP.
const handler: Handler = snapshotHandler({ token: 'a-token-of-24-characters' });
http.createServer(handler);
snapshotHandler({ authorize: async (request) => request.headers.host === 'a' });
const log = ({ remote, status }: LogEntry) => [remote?.trim(), status.toFixed()];
snapshotHandler({ token: ['a', 'b'], allowGet: true, hosts: ['app.example'], compress: 'gzip', directory: '/a', log });
snapshotHandler({ token: 'a', hosts: 'any', log: false, minInterval: 0, snapshot: { timeout: 5, stableIds: true } });
snapshotHandler({ token: 'a', images: true, snapshot: { output: 'image', lowMemory: 'image', embed: 'all' } });
http.createServer(healthHandler({ maxHeap: 0.9, maxRss: 1e9 }));
healthHandler();
// @ts-expect-error: it needs a token or an authorising function
snapshotHandler({});
// @ts-expect-error: so it does without any options
snapshotHandler();

// Exporters.
const exporters: Exporter[] = [
  new FileExporter(),
  new FileExporter({ directory: '/a', keep: 5, maxAge: 1000, fileMode: 0o640 }),
  new S3Exporter({ bucket: 'a', prefix: 'b/', clientOptions: { region: 'a' }, params: { ServerSideEncryption: 'aws:kms' } }),
  new AzureBlobExporter({ connectionString: 'a', container: 'b' }),
  new AzureBlobExporter({ url: 'https://a', container: 'b', credential: {} }),
  new GCSExporter({ bucket: 'a' }),
  new WebhookExporter({ url: 'https://a.example', headers: { authorization: 'Bearer a' }, retries: 1 }),
];
for (const exporter of exporters) {
  await exporter.prepare();
  const { location, bytes, sha256 }: Exported = await exporter.export(() => createSnapshotStream(), { name: 'a' });
  [location.trim(), bytes.toFixed(), sha256.trim()];
  await exporter.export('/a.heapsnapshot');
  const { report } = await exportSnapshot(exporter, { compress: 'gzip', signal: AbortSignal.timeout(5) });
  report.pause.toFixed();
  snapshotHandler({ token: 'a', exporter });
}
await exportSnapshot(new FileExporter(), { output: 'image', lowMemory: 'error', compress: 'zstd' });
oom({ output: 'image', lowMemory: 'image', embed: 'auto' });
// @ts-expect-error: OpenProfiling knows no images
new HeapSnapshotProfiler({ output: 'image' });
// @ts-expect-error: where to?
new S3Exporter({});
// @ts-expect-error: no account
new AzureBlobExporter({ container: 'a' });

// OpenProfiling: both of upstream's examples.
const session = new inspector.Session();
new ProfilingAgent()
  .register(new SignalTrigger({ signal: 'SIGUSR2' }), new InspectorHeapSnapshot())
  .register(new SignalTrigger({ signal: 'SIGUSR1' }), new InspectorHeapSnapshot({ session }))
  .register(new SignalTrigger({ signal: 'SIGHUP' }), new InspectorCPUProfiler({ session }))
  .register(new SignalTrigger({ signal: 'SIGQUIT' }), new InspectorHeapProfiler({ samplingInterval: 4096 }))
  .register(new SignalTrigger({ signal: 'SIGUSR2' }), new HeapSnapshotProfiler({ compress: 'gzip' }))
  .start({ exporter: new FileExporter() })
  .stop();
// @ts-expect-error: no such signal
new SignalTrigger({ signal: 'SIGWHAT' });

// The snapshot at V8's limit.
const evidence = oom({ path: '/var/tmp/evidence', atLimit: 'wait', exporter: new WebhookExporter({ url: 'https://a.example' }) });
const snapshotPath: Promise<string> = evidence.createHeapSnapshot();
oom({ threshold: 75, name: 'my_heapdump', exporter: { export: async () => ({ location: 'a', bytes: 1, sha256: '' }) } });
// @ts-expect-error: no exporter
oom({ exporter: 's3://bucket' });

export { snapshotPath };

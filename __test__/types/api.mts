// The types as an ES module's author meets them, through the package's own export map. Compiled, never run.

import { subscribe } from 'node:diagnostics_channel';

import heapdump, { createSnapshotStream, getStatus, writeSnapshot, writeSnapshotSync } from 'heapdump-rs';
import type { HeapdumpError, SnapshotMessage, SnapshotOptions, SnapshotReport } from 'heapdump-rs';
import { writeSnapshot as writeSnapshotAsync } from 'heapdump-rs/promises';

/** Compiles only for exactly equal types. */
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const equal = <A, B>(_: Equal<A, B>): void => undefined;

// node-heapdump's four shapes.
equal<boolean, ReturnType<typeof writeSnapshot>>(true);
writeSnapshot();
writeSnapshot('a.heapsnapshot');
writeSnapshot((error, filename, report) => {
  equal<typeof error, HeapdumpError | null>(true);
  equal<typeof filename, string | undefined>(true);
  equal<typeof report, SnapshotReport<string> | undefined>(true);
});
writeSnapshot('a.heapsnapshot', (error, filename) => {
  if (error) error.message.includes(error.code);
  else filename?.startsWith('a');
});
writeSnapshot('a', null);
writeSnapshot(undefined, () => undefined);
heapdump.writeSnapshot('a', () => undefined);

// Names as fs takes them.
writeSnapshot(new URL('file:///a'), (_, filename) => equal<typeof filename, string | undefined>(true));
writeSnapshot(Buffer.from('a'), (_, filename) => equal<typeof filename, Buffer | undefined>(true));
writeSnapshot(Buffer.from('a'), {}, (_, __, report) => equal<typeof report, SnapshotReport<Buffer> | undefined>(true));
// @ts-expect-error: a number is no name
writeSnapshot(5);

// Options before the callback.
const every: Required<SnapshotOptions> = {
  mode: 'fork',
  compress: 'zstd',
  exposeInternals: true,
  exposeNumericValues: true,
  fileMode: 0o640,
  name: '{host}-{pid}',
  fallback: 'error',
  signal: AbortSignal.timeout(1000),
  onProgress: ({ stage, done, total, bytes }) => [stage === 'collecting', done + total + bytes],
  timeout: 60_000,
  busy: 'reject',
  stableIds: true,
  output: 'image',
  lowMemory: 'image',
  embed: 'all',
  redact: { paths: true },
  encryptTo: ['age1…'],
};
writeSnapshot('a', every, (_, filename) => equal<typeof filename, string | undefined>(true));
writeSnapshot(undefined, { mode: 'auto' });
writeSnapshot({ compress: undefined }, (_, filename) => equal<typeof filename, string | undefined>(true));
writeSnapshot({ name: '{time}' }, (_, filename) => equal<typeof filename, string | undefined>(true));
writeSnapshotSync({ name: '{reason}' });
// @ts-expect-error: a pattern is a text
writeSnapshot({ name: 5 });
// @ts-expect-error: no such compression
writeSnapshot('a', { compress: 'brotli' });
// @ts-expect-error: no such content
writeSnapshot('a', { output: 'core' });
// @ts-expect-error: neither is memory that is low a boolean
writeSnapshot('a', { lowMemory: true });
// @ts-expect-error: an image needs a forked child
writeSnapshotSync('a', { output: 'image' });
// @ts-expect-error: the callback comes last
writeSnapshot('a', () => undefined, {});

// In process.
equal<SnapshotReport, ReturnType<typeof writeSnapshotSync>>(true);
const report = writeSnapshotSync('a', { compress: 'gzip', fileMode: 0o600 });
equal<typeof report.path, string>(true);
equal<typeof report.mode, 'fork' | 'inline'>(true);
equal<typeof report.kind, 'snapshot' | 'image'>(true);
equal<ReturnType<typeof createSnapshotStream>['kind'], 'snapshot' | 'image'>(true);
equal<typeof report.pause, number>(true);
const ofBuffer = writeSnapshotSync(Buffer.from('a'));
equal<typeof ofBuffer.path, Buffer>(true);
writeSnapshotSync({ exposeInternals: true });
// @ts-expect-error: it is in process by its nature
writeSnapshotSync('a', { mode: 'fork' });

// Promises.
const promised: SnapshotReport = await writeSnapshotAsync('a', every);
promised.path.endsWith('.zst');
const promisedBuffer = await writeSnapshotAsync(Buffer.from('a'));
equal<typeof promisedBuffer.path, Buffer>(true);
await writeSnapshotAsync();
await writeSnapshotAsync({ mode: 'inline' });

// Stream.
const stream = createSnapshotStream({ compress: 'gzip' });
stream
  .on('report', (streamed) => equal<typeof streamed, SnapshotReport<undefined>>(true))
  .once('error', (error) => equal<typeof error, HeapdumpError>(true))
  .on('data', (chunk: Buffer) => chunk.length)
  .pipe(process.stdout);
// @ts-expect-error: there is no file
createSnapshotStream({ fileMode: 0o600 });
// @ts-expect-error: nor has it a name
createSnapshotStream({ name: '{pid}' });

// Status and messages.
const status = getStatus();
equal<typeof status.inProgress, boolean>(true);
equal<typeof status.last, SnapshotReport<string | undefined> | undefined>(true);
status.lastError?.message.trim();

subscribe('heapdump-rs:snapshot', (message) => {
  const told = message as SnapshotMessage;
  if (told.type === 'end') told.report.bytes.toFixed();
  else if (told.type === 'error') told.error.code.trim();
  else equal<typeof told.mode, 'fork' | 'inline'>(true);
});

// The types as a CommonJS module's author meets them. Compiled, never run.

import heapdump = require('heapdump-rs');
import promises = require('heapdump-rs/promises');

const started: boolean = heapdump.writeSnapshot('a.heapsnapshot', (error, filename) => {
  if (error === null) filename?.trim();
});
const report: Promise<heapdump.SnapshotReport> = promises.writeSnapshot('a', { onProgress: (p) => p.bytes });
const options: promises.SnapshotOptions = { busy: 'queue' };

export = [started, report, options];

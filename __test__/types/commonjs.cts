// The types as a CommonJS module's author meets them. Compiled, never run.

import heapdump = require('heapdump-rs');
import util = require('node:util');
import promises = require('heapdump-rs/promises');

const started: boolean = heapdump.writeSnapshot('a.heapsnapshot', (error, filename) => {
  if (error === null) filename?.trim();
});
const name: Promise<string> = util.promisify(heapdump.writeSnapshot)('a.heapsnapshot');
const named: Promise<Buffer> = util.promisify(heapdump.writeSnapshot)(Buffer.from('a'), { compress: 'gzip' });
const anyName: Promise<string> = util.promisify(heapdump.writeSnapshot)();
const report: Promise<heapdump.SnapshotReport> = promises.writeSnapshot('a', { onProgress: (p) => p.bytes });
const options: promises.SnapshotOptions = { busy: 'queue' };

export = [started, name, named, anyName, report, options];

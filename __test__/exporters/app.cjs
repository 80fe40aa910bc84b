'use strict';

// An application that has the vendors' SDKs, and the package from elsewhere: run.mjs copies this file beside them. Prints
// what came of one export.

const { root, kind, options, count, call = {}, cutAt } = JSON.parse(process.argv[2]);
const { exportSnapshot, ...exporters } = require(`${root}/lib/exporters.js`);

globalThis.kept = Array.from({ length: count }, (_, i) => ({ i, text: `text ${i}`, list: [i, { i }] }));
const controller = new AbortController();
process.once('SIGHUP', () => controller.abort(new Error('enough')));

async function main() {
  const exporter = new exporters[kind](options);
  if (cutAt === undefined) return exportSnapshot(exporter, { ...call, signal: controller.signal });
  // As a child that dies half-way.
  const { createSnapshotStream } = require(`${root}/lib/stream.js`);
  let bytes = 0;
  const source = () => {
    const stream = createSnapshotStream();
    return stream.on('data', (chunk) => {
      bytes += chunk.length;
      if (bytes > cutAt) stream.destroy(Object.assign(new Error('died'), { code: 'ERR_HEAPDUMP_CHILD_KILLED' }));
    }).pause();
  };
  return exporter.export(source, { name: call.name });
}

main().then(
  (value) => console.log(`result ${JSON.stringify({ value })}`),
  ({ code, message, cause }) => console.log(`result ${JSON.stringify({ value: { code, message, cause: cause?.message } })}`),
);

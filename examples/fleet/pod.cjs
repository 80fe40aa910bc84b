'use strict';

// In every pod: `node --require ./pod.cjs app.js`. A snapshot an hour after the start, and one every twelve hours, to
// snapshots/release=42/pod=shop-1/ of the bucket. The app goes on meanwhile: a child of it uploads.

const { S3Exporter, exportSnapshot } = require('heapdump-rs/exporters');

const HOUR = 3600e3;
const { HEAP_BUCKET, RELEASE, POD_NAME } = process.env;
const exporter = new S3Exporter({ bucket: HEAP_BUCKET, prefix: `snapshots/release=${RELEASE}/pod=${POD_NAME}/` });

/** Says where the snapshot is: `s3://bucket/key`. */
async function exportNow() {
  const { location } = await exportSnapshot(exporter, { compress: 'gzip' });
  return location;
}

const tryNow = () => exportNow().catch(({ message }) => console.error(`no heap snapshot: ${message}`));
setTimeout(tryNow, HOUR).unref();
setInterval(tryNow, 12 * HOUR).unref();

module.exports = { exportNow };

'use strict';

// Where snapshots go: a directory, object storage, a webhook. All have one method, `export(source, {name, signal})`, which
// resolves with `{location, bytes, sha256}`. A vendor's SDK is loaded when its exporter is first used.

const { createSnapshotStream } = require('./stream.js');
const { defaultName, Exporter } = require('./exporters/exporter.js');
const { FileExporter } = require('./exporters/file.js');
const { S3Exporter } = require('./exporters/s3.js');
const { AzureBlobExporter } = require('./exporters/azure.js');
const { GCSExporter } = require('./exporters/gcs.js');
const { WebhookExporter } = require('./exporters/webhook.js');

const EXTENSIONS = { gzip: '.gz', zstd: '.zst' };

/** Takes a snapshot and hands what the child writes to `exporter`, piece by piece. Adds the `report` to its answer. */
async function exportSnapshot(exporter, { name, ...options } = {}) {
  const extension = EXTENSIONS[options.compress] ?? '';
  let report;
  const source = () => createSnapshotStream(options).once('report', (value) => (report = value));
  const exported = await exporter.export(source, { name: name ?? defaultName() + extension, signal: options.signal });
  return { ...exported, report };
}

module.exports = {
  Exporter,
  FileExporter,
  S3Exporter,
  AzureBlobExporter,
  GCSExporter,
  WebhookExporter,
  exportSnapshot,
};

'use strict';

// Where snapshots go: a directory, object storage, a webhook. All have one method, `export(source, {name, signal})`, which
// resolves with `{location, bytes, sha256}`. A vendor's SDK is loaded when its exporter is first used.

const { recipientsOf } = require('./encrypt.js');
const { SEALED, addedToImage, endingOf, imageName, plainName } = require('./extensions.js');
const { defaultName, Exporter } = require('./exporters/exporter.js');
const { FileExporter } = require('./exporters/file.js');
const { S3Exporter } = require('./exporters/s3.js');
const { AzureBlobExporter } = require('./exporters/azure.js');
const { GCSExporter } = require('./exporters/gcs.js');
const { WebhookExporter } = require('./exporters/webhook.js');
const { snapshotSource } = require('./exporters/snapshot-source.js');

/** Takes a snapshot and hands what the child writes to `exporter`, piece by piece. Adds the `report` to its answer. */
async function exportSnapshot(exporter, { name, ...options } = {}) {
  // An SDK that is missing costs no snapshot.
  if (options.lowMemory === 'image') await exporter.prepare?.();
  let report;
  const { kind, open, close } = await snapshotSource(options, (value) => (report = value));
  try {
    const exported = await exporter.export(open, { name: nameOf(name, kind, options), signal: options.signal });
    return { ...exported, report };
  } finally {
    close();
  }
}

/** An image is never called a snapshot, nor what is encrypted as if it were not, whoever chose the name. */
function nameOf(name, kind, { compress, encryptTo }) {
  const isEncrypted = recipientsOf(encryptTo) !== undefined;
  if (name === undefined) return defaultName(undefined, endingOf(kind, compress, isEncrypted));
  if (kind === 'snapshot') return isEncrypted && !name.endsWith(SEALED) ? name + SEALED : name;
  return imageName(plainName(name)) + addedToImage({ compress, encrypt: isEncrypted });
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

'use strict';

// Azure Blob Storage: blocks with their checksums, committed together, so that a blob is there whole or not at all.

const { createHash } = require('node:crypto');

const { invalidValue } = require('../errors.js');
const { Exporter, contentType, requireString } = require('./exporter.js');
const { loadPeers } = require('./peers.js');

/** A blob takes 50,000 of them; one is in memory at a time. */
const BLOCK_SIZE = 8 << 20;

class AzureBlobExporter extends Exporter {
  #options;
  #client;

  constructor({ client, connectionString, url, credential, container, prefix = '', blockSize = BLOCK_SIZE } = {}) {
    super();
    if (client === undefined) {
      requireString('container', container);
      if ((connectionString ?? url) === undefined) throw invalidValue('connectionString', 'given, or url, or client', undefined);
    }
    this.#options = { connectionString, url, credential, container, prefix, blockSize };
    this.#client = client;
  }

  async prepare() {
    if (this.#client) return;
    const { connectionString, url, credential, container } = this.#options;
    const [{ BlobServiceClient }] = loadPeers('AzureBlobExporter', ['@azure/storage-blob']);
    const service = connectionString
      ? BlobServiceClient.fromConnectionString(connectionString)
      : new BlobServiceClient(url, credential);
    this.#client = service.getContainerClient(container);
  }

  async store(input, { name, signal }) {
    const { prefix, blockSize } = this.#options;
    const blob = this.#client.getBlockBlobClient(prefix + name);
    const whole = createHash('md5');
    const ids = [];
    for await (const block of blocksOf(input.open(), blockSize)) {
      whole.update(block);
      const id = Buffer.from(String(ids.length).padStart(8, '0')).toString('base64');
      // The service answers 400 to a block that came over the wire otherwise; the SDK sends it again.
      const transactionalContentMD5 = createHash('md5').update(block).digest();
      await blob.stageBlock(id, block, block.length, { transactionalContentMD5, abortSignal: signal });
      ids.push(id);
    }
    await blob.commitBlockList(ids, {
      abortSignal: signal,
      blobHTTPHeaders: {
        blobContentType: contentType(name),
        blobCacheControl: 'no-store',
        blobContentMD5: whole.digest(),
      },
      metadata: { sha256: input.sha256 },
    });
    return withoutSecrets(blob.url);
  }
}

/** Buffers of that size; the last one is what remains. */
async function* blocksOf(stream, size) {
  let pieces = [];
  let length = 0;
  for await (let chunk of stream) {
    while (length + chunk.length >= size) {
      pieces.push(chunk.subarray(0, size - length));
      chunk = chunk.subarray(size - length);
      yield Buffer.concat(pieces);
      pieces = [];
      length = 0;
    }
    pieces.push(chunk);
    length += chunk.length;
  }
  if (length > 0) yield Buffer.concat(pieces);
}

/** A shared access signature is part of the address. */
const withoutSecrets = (url) => url.split('?', 1)[0];

module.exports = { AzureBlobExporter };

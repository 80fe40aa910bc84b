'use strict';

// Google Cloud Storage: a resumable upload, checked by CRC32C at its end.

const { pipeline } = require('node:stream/promises');

const { Exporter, contentType, requireString } = require('./exporter.js');
const { loadPeers } = require('./peers.js');

/** Kept in memory, so that it can be sent again; a multiple of 256 KiB. */
const CHUNK_SIZE = 8 << 20;

/** Of the SDK's IdempotencyStrategy. */
const RETRY_ALWAYS = 0;
const RETRY_NEVER = 2;

class GCSExporter extends Exporter {
  #options;
  #storage;

  constructor({ bucket, prefix = '', storage, storageOptions = {}, chunkSize = CHUNK_SIZE } = {}) {
    super();
    requireString('bucket', bucket);
    this.#options = { bucket, prefix, storageOptions, chunkSize };
    this.#storage = storage;
  }

  async prepare() {
    if (this.#storage) return;
    const [{ Storage }] = loadPeers('GCSExporter', ['@google-cloud/storage']);
    this.#storage = new Storage(this.#options.storageOptions);
  }

  async store(input, { name }) {
    const { bucket, prefix, chunkSize } = this.#options;
    const file = persistent(this.#storage).bucket(bucket).file(prefix + name);
    const metadata = { contentType: contentType(name), cacheControl: 'no-store' };
    const uri = await beginPrivately(file, metadata);
    // It has just begun: the client need not ask how far it is.
    const upload = { uri, offset: 0, resumable: true, validation: 'crc32c', chunkSize, metadata };
    await pipeline(input.open(), file.createWriteStream(upload));
    return `gs://${bucket}/${prefix}${name}`;
  }
}

/**
 * The same client, but one that tries again: the SDK does so only where a precondition is sent with a request, while all of
 * an upload's may be sent twice. One that is told to try nothing again is left so. The client itself is not changed; the SDK
 * does change these options when it tries nothing again, for good.
 */
function persistent(storage) {
  const { idempotencyStrategy, ...others } = storage.retryOptions;
  const strategy = idempotencyStrategy === RETRY_NEVER ? RETRY_NEVER : RETRY_ALWAYS;
  return Object.create(storage, { retryOptions: { value: { ...others, idempotencyStrategy: strategy } } });
}

/**
 * The address of an upload whose object nobody else can read, whatever the bucket's default. A bucket with uniform
 * access knows no rights of single objects and refuses to hear of them.
 */
async function beginPrivately(file, metadata) {
  try {
    return (await file.createResumableUpload({ metadata, private: true }))[0];
  } catch (error) {
    if (error.code !== 400 || !/uniform bucket-level access/i.test(error.message)) throw error;
    return (await file.createResumableUpload({ metadata }))[0];
  }
}

module.exports = { GCSExporter };

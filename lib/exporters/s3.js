'use strict';

// Amazon S3, and what speaks its language: MinIO, R2, Ceph. A multipart upload of what the child writes.

const { invalidValue } = require('../errors.js');
const { Exporter, contentType, requireString } = require('./exporter.js');
const { loadPeers } = require('./peers.js');

/** In memory are `concurrency` parts at most; S3 takes 10,000 of them. */
const PART_SIZE = 8 << 20;

class S3Exporter extends Exporter {
  #options;
  #Upload;
  #client;

  constructor({ bucket, prefix = '', client, clientOptions = {}, params = {}, partSize = PART_SIZE, concurrency = 2 } = {}) {
    super();
    requireString('bucket', bucket);
    if (/^(?:public|authenticated)-/.test(params.ACL ?? '')) throw invalidValue('params.ACL', 'not public', params.ACL);
    this.#options = { bucket, prefix, clientOptions, params, partSize, concurrency };
    this.#client = client;
  }

  async prepare() {
    if (this.#Upload) return;
    const names = ['@aws-sdk/lib-storage', ...(this.#client ? [] : ['@aws-sdk/client-s3'])];
    const [{ Upload }, s3] = loadPeers('S3Exporter', names);
    this.#client ??= new s3.S3Client(this.#options.clientOptions);
    this.#Upload = Upload;
  }

  async store(input, { name, signal }) {
    const { bucket, prefix, params, partSize, concurrency } = this.#options;
    const key = prefix + name;
    const upload = new this.#Upload({
      client: this.#client,
      // Every part is checked by the server; without an ACL an object is its owner's alone.
      params: {
        ChecksumAlgorithm: 'SHA256',
        ContentType: contentType(name),
        CacheControl: 'no-store',
        ...params,
        Bucket: bucket,
        Key: key,
        Body: input.open(),
      },
      partSize,
      queueSize: concurrency,
      leavePartsOnError: false,
    });
    const abort = () => void upload.abort();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await upload.done();
    } finally {
      signal?.removeEventListener('abort', abort);
    }
    return `s3://${bucket}/${key}`;
  }
}

module.exports = { S3Exporter };

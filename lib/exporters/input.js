'use strict';

// What is exported: opened, counted, hashed, and closed again however the export ends.

const { createHash } = require('node:crypto');
const fs = require('node:fs');
const { Readable, Transform, addAbortSignal, pipeline } = require('node:stream');

const { invalidType } = require('../errors.js');

class Input {
  /** What the source failed with, if it did. */
  error;
  bytes = 0;
  sha256;
  #source;
  #signal;
  #meter;

  constructor(source, signal) {
    if (!isPath(source) && typeof source !== 'function' && !(source instanceof Readable)) {
      throw invalidType('source', 'a path, a function that gives a Readable, or a Readable', source);
    }
    this.#source = source;
    this.#signal = signal;
  }

  /** Whether it can be opened again. */
  get isRepeatable() {
    return isPath(this.#source) || typeof this.#source === 'function';
  }

  /** Of a file; undefined where nobody knows how long it gets. */
  get file() {
    return isPath(this.#source) ? this.#source : undefined;
  }

  /** A Readable of everything. Destroying it destroys the source: a snapshot's child ends. */
  open() {
    this.close();
    this.bytes = 0;
    this.sha256 = undefined;
    this.error = undefined;
    const stream = this.#openSource((error) => (this.error = error));
    const meter = this.#createMeter();
    // Its own failure, rather than that of whoever reads.
    stream.once('error', (error) => {
      if (!meter.destroyed) this.error = error;
    });
    pipeline(stream, meter, () => {});
    if (this.#signal) addAbortSignal(this.#signal, meter);
    // Whoever reads hears of it too; a reader that has stopped must not make it an uncaught exception.
    meter.on('error', () => {});
    this.#meter = meter;
    return meter;
  }

  close() {
    this.#meter?.destroy();
  }

  #openSource(failed) {
    if (isPath(this.#source)) return fs.createReadStream(this.#source, { highWaterMark: 1 << 18 });
    if (typeof this.#source !== 'function') return this.#source;
    try {
      const stream = this.#source();
      if (!(stream instanceof Readable)) throw invalidType('source', 'a function that gives a Readable', stream);
      return stream;
    } catch (error) {
      failed(error);
      throw error;
    }
  }

  #createMeter() {
    const hash = createHash('sha256');
    return new Transform({
      transform: (chunk, _, callback) => {
        this.bytes += chunk.length;
        hash.update(chunk);
        callback(null, chunk);
      },
      flush: (callback) => {
        this.sha256 = hash.digest('hex');
        callback();
      },
    });
  }
}

const isPath = (source) => typeof source === 'string' || source instanceof URL;

module.exports = { Input };

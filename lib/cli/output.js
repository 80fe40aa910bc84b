'use strict';

// The file that a command writes: without a name until it is known to be whole, readable by its owner alone.

const fs = require('node:fs');
const path = require('node:path');
const { Readable } = require('node:stream');
const { pipeline } = require('node:stream/promises');
const zlib = require('node:zlib');

const { IMAGE_NAME, SEALED, addedToImage, imageName, plainName } = require('../extensions.js');
const { Completeness } = require('./completeness.js');
const { Problem, printable } = require('./command.js');
const { checkedImage, isImage, isSealed, isZstd } = require('./image.js');

class Output {
  #file;
  #encode;
  #force;
  #redaction;
  #recipients;
  #remove = () => this.close();

  /**
   * Opened before anything is asked for, so that a wrong name costs no dump. `force`: an older file is replaced. `redaction`, of
   * lib/redact.js: how texts are taken out before the first byte is written. `recipients`: who may read what is written; the name
   * then ends in .age.
   */
  constructor(file, force, { redaction, recipients } = {}) {
    this.#redaction = redaction;
    this.#recipients = recipients;
    this.path = path.resolve(file);
    if (recipients !== undefined && !this.path.endsWith(SEALED)) this.path += SEALED;
    /** Whether an image is asked for, as the name says. */
    this.wantsImage = IMAGE_NAME.test(this.path);
    this.#encode = encoder(this.path, recipients, this.wantsImage);
    this.#force = force;
    this.#open();
    process.once('exit', this.#remove);
  }

  /** Whether texts are taken out here. */
  get redacts() {
    return this.#redaction !== undefined;
  }

  /** Whether it is encrypted here. */
  get encrypts() {
    return this.#recipients !== undefined;
  }

  #open() {
    this.#checkName();
    try {
      // Only here: doctor says what is wrong where no binary loads.
      const { NewFile } = require('../new-file.js');
      this.#file = new NewFile(this.path);
    } catch (error) {
      throw new Problem(`cannot write ${this.path}: ${plainly(error)}`);
    }
  }

  #checkName() {
    let found;
    try {
      found = fs.lstatSync(this.path, { throwIfNoEntry: false });
    } catch (error) {
      throw new Problem(`cannot write ${this.path}: ${plainly(error)}`);
    }
    if (found === undefined) return;
    if (!found.isFile() && !found.isSymbolicLink()) throw new Problem(`${this.path} is no file`);
    if (!this.#force) throw new Problem(`${this.path} is there already; --force replaces it`);
  }

  /**
   * Takes a whole snapshot, plain or compressed, and gives it its name. The name's extension says how it is kept. An image is
   * kept as it comes, under a name that says what it is.
   * @param {AsyncIterable<Buffer>} source
   * @param {(bytes: number) => void} [onBytes] of the snapshot, as it comes
   * @param {AbortSignal} [signal] of --timeout
   * @param {boolean} [mayBeImage] whether what is compressed is said to be an image; `null`: an image is refused
   */
  async receive(source, onBytes, signal, mayBeImage = false) {
    const counted = { bytes: 0 };
    try {
      const { start, all } = await peek(source);
      if (isSealed(start)) return await this.#receiveSealed(all, mayBeImage, onBytes, signal, counted);
      if (isImage(start) && mayBeImage === null) throw new Problem('an image came where a snapshot was to come; it is not kept');
      const comesAsImage = isImage(start) || (mayBeImage && isZstd(start));
      const isInClear = this.#redaction !== undefined && this.#recipients === undefined;
      if (isInClear && (comesAsImage || this.wantsImage)) throw new Problem("an image is all of a process' memory, which cannot be redacted; it is not kept");
      if (comesAsImage) {
        return await this.#receiveImage(all, isZstd(start), onBytes, signal, counted);
      }
      if (this.wantsImage) throw new Problem('a snapshot came where an image was asked for: the name is to end in .heapsnapshot');
      const check = new Completeness();
      const checked = async function* (chunks) {
        for await (const chunk of chunks) {
          check.write(chunk);
          counted.bytes = check.bytes;
          onBytes?.(check.bytes);
          yield chunk;
        }
      };
      const redacted = this.#redaction === undefined ? [] : [require('../redact.js').redactor(this.#redaction)];
      await pipeline([decoded(start, all), ...redacted, checked, ...this.#encode(), (chunks) => this.#write(chunks)], { signal });
      const counts = check.end();
      await this.#publish();
      return { kind: 'snapshot', ...counts };
    } catch (error) {
      this.close();
      if (signal?.aborted) throw new Problem('the time of --timeout is over');
      if (error instanceof Problem) throw error;
      if (['write', 'fsync', 'link', 'rename'].includes(error.syscall)) {
        throw new Problem(`cannot write ${this.path}: ${plainly(error)}`);
      }
      const after = counted.bytes > 0 ? `after ${counted.bytes} bytes ` : '';
      throw new Problem(`the snapshot is not complete: ${after}${plainly(error)}`);
    }
  }

  async #receiveImage(all, isCompressed, onBytes, signal, counted) {
    const plain = imageName(plainName(this.path));
    this.#rename(plain + addedToImage({ compress: isCompressed, encrypt: this.#recipients !== undefined }));
    const checked = (chunks) => checkedImage(chunks, isCompressed);
    await pipeline([all, shown(onBytes, counted), checked, ...sealers(this.#recipients), (chunks) => this.#write(chunks)], { signal });
    await this.#publish();
    return { kind: 'image', bytes: counted.bytes };
  }

  /** As it comes: whether it is a whole snapshot is for its recipients to see. */
  async #receiveSealed(all, isSaidToBeImage, onBytes, signal, counted) {
    if (this.#redaction !== undefined) throw new Problem('what came is encrypted: nothing can be taken out of it; it is not kept');
    if (this.#recipients !== undefined) throw new Problem('what came is encrypted already, to others: leave --encrypt-to away');
    if (this.wantsImage && !isSaidToBeImage) throw new Problem('a snapshot came where an image was asked for: the name is to end in .heapsnapshot');
    const plain = this.path.replace(/\.age$/, '');
    // Only who opens it sees whether it is compressed.
    this.#rename((isSaidToBeImage && !this.wantsImage ? imageName(plainName(plain)) : plain) + SEALED);
    await pipeline([all, shown(onBytes, counted), (chunks) => this.#write(chunks)], { signal });
    await this.#publish();
    return { kind: 'encrypted', bytes: counted.bytes };
  }

  #rename(name) {
    if (name === this.path) return;
    this.#file.close();
    this.path = name;
    this.#open();
  }

  async #publish() {
    await this.#file.sync();
    this.#checkName();
    this.#file.publish({ replace: this.#force });
  }

  /** Not a WriteStream, which closes the descriptor on an error at a time of its own. */
  async #write(chunks) {
    for await (const chunk of chunks) {
      if (this.#file === undefined) return;
      this.#file.writeSync(chunk);
    }
  }

  /** Gives back what is held; without a whole snapshot there will be no file. */
  close() {
    process.removeListener('exit', this.#remove);
    this.#file?.close();
    this.#file = undefined;
  }
}

/** Counts what goes through. */
const shown = (onBytes, counted) =>
  async function* (chunks) {
    for await (const chunk of chunks) {
      counted.bytes += chunk.length;
      onBytes?.(counted.bytes);
      yield chunk;
    }
  };

/** A stream that encrypts, if it is to be encrypted. */
const sealers = (recipients) => (recipients === undefined ? [] : [require('../encrypt.js').sealer(recipients)]);

/** Streams that compress for a name, and encrypt for recipients. An image comes compressed, if it is. */
function encoder(file, recipients, isImageName) {
  if (recipients !== undefined) {
    const compress = encoder(file.slice(0, -SEALED.length), undefined, isImageName);
    return () => [...compress(), ...sealers(recipients)];
  }
  if (file.endsWith(SEALED)) throw new Problem('a name that ends in .age wants a recipient: --encrypt-to age1…');
  if (isImageName) return () => [];
  if (file.endsWith('.heapimage.gz')) throw new Problem('images are compressed by zstd: use a name that ends in .heapimage.zst');
  if (file.endsWith('.gz')) return () => [zlib.createGzip()];
  if (!file.endsWith('.zst')) return () => [];
  if (!zlib.createZstdCompress) throw new Problem('this Node.js cannot write zstd; use a name that ends in .gz');
  return () => [zlib.createZstdCompress()];
}

/** The first bytes, and a stream of all of them. */
async function peek(source) {
  const chunks = source[Symbol.asyncIterator]();
  let start = Buffer.alloc(0);
  let ended = false;
  while (start.length < 8 && !ended) {
    const { value, done } = await chunks.next();
    if (done) ended = true;
    else start = Buffer.concat([start, value]);
  }
  const all = Readable.from(
    (async function* () {
      yield start;
      if (!ended) yield* { [Symbol.asyncIterator]: () => chunks };
    })(),
    { objectMode: false },
  );
  return { start, all };
}

/** The same bytes, decompressed if their first ones say that they are compressed. */
function decoded(start, all) {
  const decoder = decoderFor(start);
  if (decoder === undefined) return all;
  // pipeline() sees the decoder alone: what goes wrong upstream is to be told, and nobody reads on when it has gone.
  all.on('error', (error) => decoder.destroy(error));
  decoder.on('close', () => all.destroy());
  return all.pipe(decoder);
}

function decoderFor(start) {
  if (start[0] === 0x1f && start[1] === 0x8b) return zlib.createGunzip();
  if (!isZstd(start)) return undefined;
  if (!zlib.createZstdDecompress)
    throw new Problem('the snapshot is compressed with zstd, which this Node.js cannot read');
  return zlib.createZstdDecompress();
}

const WORDS = {
  EEXIST: 'there is a file of that name already',
  EACCES: 'not permitted',
  EPERM: 'not permitted',
  ENOENT: 'there is no such directory',
  ENOTDIR: 'there is no such directory',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space is left',
  EDQUOT: 'the quota is used up',
  ECONNRESET: 'the connection was lost',
  EPIPE: 'the connection was lost',
  ERR_STREAM_PREMATURE_CLOSE: 'the connection was lost',
  Z_BUF_ERROR: 'the compressed data ends too early',
  Z_DATA_ERROR: 'the compressed data is damaged',
};

/** An error of the system's in a person's words; paths in it may be another process'. */
function plainly(error) {
  return WORDS[error.code] ?? printable(error.message);
}

module.exports = { Output, plainly };

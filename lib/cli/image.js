'use strict';

// Heap images that pass by: known by their first bytes, and whole if their last page says so (crates/heapimage). What is in them
// is looked at by whoever makes a snapshot of them.

const { once } = require('node:events');
const zlib = require('node:zlib');

const { EXTENSION, IMAGE_NAME, SEALED } = require('../extensions.js');
const { Problem } = require('./command.js');

const MAGIC = Buffer.from('HEAPIMG\0');
const TRAILER_MAGIC = Buffer.from('HEAPEND\0');
const PAGE = 4096;
const ZSTD_MAGIC = 0xfd2fb528;

const isImage = (start) => start.subarray(0, MAGIC.length).equals(MAGIC);
/** The format's first line (age-encryption.org/v1). */
const isSealed = (start) => start.toString('latin1').startsWith('age-encr');
const isZstd = (start) => start.length >= 4 && start.readUInt32LE(0) === ZSTD_MAGIC;

/** Passes chunks on as they are. Throws a Problem at the end of what is no whole image, as far as this Node.js can decompress it. */
async function* checkedImage(chunks, isCompressed) {
  const end = new ImageEnd();
  const decoder = isCompressed ? zlib.createZstdDecompress?.() : undefined;
  let failure;
  const ended = decoder && once(decoder.on('data', (chunk) => end.see(chunk)), 'end').catch((error) => (failure = error));
  for await (const chunk of chunks) {
    if (!isCompressed) end.see(chunk);
    else if (decoder && !failure && !decoder.write(chunk)) await Promise.race([once(decoder, 'drain'), ended]).catch(() => {});
    yield chunk;
  }
  if (isCompressed && !decoder) return;
  decoder?.end();
  await ended;
  if (failure) throw failure;
  end.check();
}

/** The first and the last page of what it sees. */
class ImageEnd {
  #bytes = 0;
  #start = Buffer.alloc(0);
  #last = Buffer.alloc(0);

  see(chunk) {
    this.#bytes += chunk.length;
    if (this.#start.length < MAGIC.length) this.#start = Buffer.concat([this.#start, chunk.subarray(0, MAGIC.length)]);
    this.#last = chunk.length >= PAGE ? Buffer.from(chunk.subarray(-PAGE)) : Buffer.concat([this.#last, chunk]).subarray(-PAGE);
  }

  check() {
    if (!isImage(this.#start)) throw new Problem('what came is no heap image: it does not begin as one does');
    const isWhole = this.#bytes % PAGE === 0 && this.#last.subarray(0, TRAILER_MAGIC.length).equals(TRAILER_MAGIC);
    if (!isWhole) throw new Problem(`the heap image is cut off after ${this.#bytes} bytes`);
  }
}

/** How a snapshot is made of it, for a person. */
const advice = (file) =>
  'make a snapshot of it where there is memory: npx heapdump-rs node-snapshot --image ' +
  `${file}${file.endsWith(SEALED) ? ' --identity FILE' : ''} --output ${file.replace(IMAGE_NAME, EXTENSION)}`;

module.exports = { advice, checkedImage, isImage, isSealed, isZstd };

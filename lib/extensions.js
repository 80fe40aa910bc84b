'use strict';

// What files are called by what they hold: `.heapsnapshot` or `.heapimage`, and how it is compressed.

const path = require('node:path');

const EXTENSION = '.heapsnapshot';
const IMAGE_EXTENSION = '.heapimage';
const COMPRESSIONS = { gzip: '.gz', zstd: '.zst' };
/** Of what is encrypted, after all else. */
const SEALED = '.age';
const IMAGE_NAME = /\.heapimage(?:\.zst)?(?:\.age)?$/;

/** What a file that holds `kind` is called at its end. An image knows zstd alone (src/snapshot/content.rs). */
function endingOf(kind, compress, isEncrypted = false) {
  if (kind === 'image') return IMAGE_EXTENSION + addedToImage({ compress, encrypt: isEncrypted });
  return EXTENSION + addedTo({ compress, encrypt: isEncrypted });
}

/** What is added to the name of a snapshot, and of an image. */
const addedTo = ({ compress, encrypt }) => (COMPRESSIONS[compress] ?? '') + (encrypt ? SEALED : '');
const addedToImage = ({ compress, encrypt }) => addedTo({ compress: compress && 'zstd', encrypt });

/** A name without what tells how the file is compressed and that it is encrypted. */
const plainName = (name) => name.replace(/(?:\.(?:gz|zst))?(?:\.age)?$/, '');

/** What an image is called where a snapshot would be `name`: never a snapshot (`image_name` of src/filename.rs). */
function imageName(name) {
  if (name.endsWith(IMAGE_EXTENSION)) return name;
  const isSnapshot = name.endsWith(EXTENSION) && path.basename(name) !== EXTENSION;
  return (isSnapshot ? name.slice(0, -EXTENSION.length) : name) + IMAGE_EXTENSION;
}

/** What the file that a caller calls `name` may be called in the end. */
function finalNames(name, { content, compress, encrypt }) {
  const names = [];
  if (content !== 'image') names.push(name + addedTo({ compress, encrypt }));
  if (content !== undefined) names.push(imageName(name) + addedToImage({ compress, encrypt }));
  return names;
}

module.exports = { COMPRESSIONS, EXTENSION, IMAGE_NAME, SEALED, addedTo, addedToImage, endingOf, finalNames, imageName, plainName };

'use strict';

// An image as its restorer wants it: open, and not compressed.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { Problem, printable } = require('./command.js');
const { isZstd } = require('./image.js');

/**
 * Hands `use` a descriptor of the image. What is compressed is unpacked into a file without a name in one of `directories`,
 * the first that takes it.
 */
async function withImage(file, directories, use) {
  const opened = open(file);
  try {
    const start = Buffer.alloc(4);
    fs.readSync(opened, start, 0, 4, 0);
    if (!isZstd(start)) return await use(opened);
    const unpacked = await unpack(file, directories);
    try {
      return await use(unpacked.descriptor);
    } finally {
      unpacked.close();
    }
  } finally {
    fs.closeSync(opened);
  }
}

function open(file) {
  try {
    const opened = fs.openSync(file, 'r');
    if (fs.fstatSync(opened).isFile()) return opened;
    fs.closeSync(opened);
  } catch (error) {
    throw new Problem(`cannot read ${file}: ${error.code === 'ENOENT' ? 'there is no such file' : printable(error.message)}`);
  }
  throw new Problem(`${file} is no file`);
}

async function unpack(file, directories) {
  const { NewFile } = require('../new-file.js');
  let failure;
  for (const directory of new Set([...directories, os.tmpdir()])) {
    let to;
    try {
      to = new NewFile(path.join(directory, 'unpacked.heapimage'));
      await to.unpack(file);
      return to;
    } catch (error) {
      to?.close();
      failure ??= new Problem(`cannot unpack ${file} in ${directory}: ${printable(error.message)}`);
    }
  }
  throw failure;
}

module.exports = { withImage };

'use strict';

// An image as its restorer wants it: open, and neither encrypted nor compressed.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { Problem, printable } = require('./command.js');
const { isSealed, isZstd } = require('./image.js');

/**
 * Hands `use` a descriptor of the image. What is encrypted or compressed is unpacked into a file without a name in one of
 * `directories`, the first that takes it.
 * @param {string} file
 * @param {{directories: string[], identity?: string[], signal?: AbortSignal}} how `identity`: files with the keys of what is encrypted
 */
async function withImage(file, { directories, identity = [], signal }, use) {
  const opened = open(file);
  try {
    const start = Buffer.alloc(8);
    fs.readSync(opened, start, 0, start.length, 0);
    const isEncrypted = isSealed(start);
    if (isEncrypted && identity.length === 0) throw new Problem(`${file} is encrypted: --identity FILE says with which key it is read`);
    if (!isEncrypted && !isZstd(start)) return await use(opened);
    const unpacked = await unpack(file, directories, identity, signal);
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
    // A pipe is not waited for: an open that waits hears of no signal.
    const opened = fs.openSync(file, fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0));
    if (fs.fstatSync(opened).isFile()) return opened;
    fs.closeSync(opened);
  } catch (error) {
    throw new Problem(`cannot read ${file}: ${error.code === 'ENOENT' ? 'there is no such file' : printable(error.message)}`);
  }
  throw new Problem(`${file} is no file`);
}

async function unpack(file, directories, identity, signal) {
  const { to, directory } = openIn(directories, file);
  try {
    await filling(to, signal, () => to.unpack(file, identity));
    return to;
  } catch (error) {
    to.close();
    if (error instanceof Problem) throw error;
    if (error.message === 'decryption error') throw new Problem(`${file}: it was changed, or is cut off [ERR_HEAPDUMP_IMAGE_INVALID]`);
    throw new Problem(`cannot unpack ${file} in ${directory}: ${printable(error.message)}`);
  }
}

/** A new file in the first directory that takes one. */
function openIn(directories, file) {
  const { NewFile } = require('../new-file.js');
  let failure;
  for (const directory of new Set([...directories, os.tmpdir()])) {
    try {
      return { to: new NewFile(path.join(directory, 'unpacked.heapimage')), directory };
    } catch (error) {
      failure ??= new Problem(`cannot unpack ${file} in ${directory}: ${printable(error.message)}`);
    }
  }
  throw failure;
}

/** Has a thread fill a file; it stops when `signal` aborts, or at the end of this process, which would wait for it. */
async function filling(file, signal, fill) {
  const stop = () => file.stop();
  process.once('exit', stop);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    if (signal?.aborted) stop();
    return await fill();
  } finally {
    process.removeListener('exit', stop);
    signal?.removeEventListener('abort', stop);
    if (signal?.aborted) throw new Problem('the time of --timeout is over');
  }
}

module.exports = { filling, withImage };

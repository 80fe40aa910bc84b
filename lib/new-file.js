'use strict';

// A file that appears whole or not at all, readable by its owner alone whatever the umask: src/snapshot/unfinished.rs, written
// from JavaScript. A process that is killed leaves nothing, or what the next one removes.

const fs = require('node:fs');
const { promisify } = require('node:util');

const { accessDenied, toError } = require('./errors.js');
const { addon } = require('./native.js');

const write = promisify(fs.write);
const sync = promisify(fs.fsync);

class NewFile {
  #file;
  #own;
  #closed = false;

  /** Throws what open(2) says. `named`: it has a temporary name from the start, for a writer that wants one. */
  constructor(path, { mode = 0o600, named = false } = {}) {
    // Native code is not stopped by Node's permission model, so it is asked.
    if (process.permission !== undefined && !process.permission.has('fs.write', `${path}`)) throw accessDenied(`${path}`);
    const opened = addon.openNewFile(Buffer.from(path), mode, named);
    if (!(opened instanceof addon.NewFile)) throw toError(opened);
    this.#file = opened;
    const descriptor = opened.descriptor();
    if (descriptor < 0) this.#own = fs.openSync(opened.temporary(), 'r+');
    this.descriptor = this.#own ?? descriptor;
  }

  /** Where it has a temporary name. */
  get temporary() {
    return this.#file.temporary();
  }

  writeSync(chunk) {
    for (let at = 0; at < chunk.length;) at += fs.writeSync(this.descriptor, chunk, at);
  }

  /** All of it; destroys the source when that fails. */
  async writeFrom(source) {
    for await (const chunk of source) {
      for (let at = 0; at < chunk.length;) at += (await write(this.descriptor, chunk, at)).bytesWritten;
    }
  }

  /**
   * Fills it with what another file holds, which may be compressed with zstd, and encrypted to one of the files of `identities`;
   * rejects with what the system says.
   */
  async unpack(path, identities = []) {
    await this.#file.unpack(Buffer.from(path), identities);
  }

  /** Fills it with the heap image of a core file that is open as `core`; gives `{refused, remarks}`. */
  async fillFromCore(name, core, program, maps) {
    return addon.imageOfCore(name, core, program, maps, this.#file);
  }

  /** Its time of last change, in milliseconds. */
  setModified(time) {
    this.#file.setModified(time);
  }

  /** Until it is on the disk. */
  async sync() {
    await sync(this.descriptor);
  }

  /** Gives it its name. `replace`: an older file goes; otherwise that is EEXIST. */
  publish({ replace = true } = {}) {
    const error = this.#file.publish(replace);
    if (error) throw toError(error);
  }

  /** What fills it rejects. */
  stop() {
    this.#file.stop();
  }

  /** Without a name it is gone. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#own !== undefined) fs.closeSync(this.#own);
    this.#file.close();
  }
}

/** A small file in one go. `modified`: in milliseconds, instead of now. */
async function writeWhole(path, text, { mode, modified } = {}) {
  const file = new NewFile(path, { mode });
  try {
    file.writeSync(Buffer.from(text));
    if (modified !== undefined) file.setModified(modified);
    await file.sync();
    file.publish();
  } finally {
    file.close();
  }
}

module.exports = { NewFile, writeWhole };

// Open snapshots and their handles. Few are in memory at a time; a handle stays good, its file is loaded again.

import { open } from 'heapdump-rs/analyze';

import { heapText } from './heap-text.js';
import { Problem } from './problem.js';
import { allowedFile } from './roots.js';

/** find_leaks needs three. */
const LOADED = 3;

export class Snapshots {
  #roots;
  #identities;
  #files = [];
  #loaded = new Map();

  constructor({ roots, identities }) {
    this.#roots = roots;
    this.#identities = identities;
  }

  /** How a command is told what opens encrypted ones. */
  get identityWords() {
    return this.#identities.map((file) => `--identity=${file}`);
  }

  /** The handle of a file, `s1`; of a handle itself. */
  handle(named) {
    const number = /^s(\d+)$/.exec(named)?.[1];
    if (number !== undefined && this.#files[number - 1] !== undefined) return named;
    const file = this.#allowed(named);
    const known = this.#files.indexOf(file);
    return `s${known >= 0 ? known + 1 : this.#files.push(file)}`;
  }

  file(handle) {
    return this.#files[handle.slice(1) - 1];
  }

  /** The file, to be read now: where a link leads may have changed since it was named. */
  path(named) {
    const file = this.file(this.handle(named));
    if (this.#allowed(file) !== file) throw new Problem(`${file} is a link now; open the file that it leads to`);
    return file;
  }

  /** A snapshot, loaded. The one that was asked least recently makes room. */
  async get(named) {
    const handle = this.handle(named);
    const loading = this.#loaded.get(handle) ?? open(this.path(handle), { identity: this.#identities });
    this.#loaded.delete(handle);
    this.#loaded.set(handle, loading);
    while (this.#loaded.size > LOADED) this.close(this.#loaded.keys().next().value);
    try {
      return await loading;
    } catch (error) {
      this.#loaded.delete(handle);
      if (error instanceof Problem) throw error;
      const hint = error.code === 'ERR_HEAPDUMP_ENCRYPTED' ? '. Whoever starts the server says --identity FILE' : '';
      // Of what is no snapshot, it says the first line.
      throw new Problem(heapText(error.message, 500) + hint);
    }
  }

  #allowed(file) {
    return allowedFile(this.#roots, file, this.#identities);
  }

  /** Frees the memory. */
  close(handle) {
    const loading = this.#loaded.get(handle);
    this.#loaded.delete(handle);
    loading?.then(
      (snapshot) => snapshot.close(),
      () => {},
    );
  }
}

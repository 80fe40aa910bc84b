// Open snapshots and their handles. Few are in memory at a time; a handle stays good, its file is loaded again.

import { open } from 'heapdump-rs/analyze';

import { Problem } from './problem.js';
import { allowedFile } from './roots.js';

/** find_leaks needs three. */
const LOADED = 3;

export class Snapshots {
  #roots;
  #files = [];
  #loaded = new Map();

  constructor(roots) {
    this.#roots = roots;
  }

  /** The handle of a file, `s1`; of a handle itself. */
  handle(named) {
    const number = /^s(\d+)$/.exec(named)?.[1];
    if (number !== undefined && this.#files[number - 1] !== undefined) return named;
    const file = allowedFile(this.#roots, named);
    const known = this.#files.indexOf(file);
    return `s${known >= 0 ? known + 1 : this.#files.push(file)}`;
  }

  file(handle) {
    return this.#files[handle.slice(1) - 1];
  }

  /** A snapshot, loaded. The one that was asked least recently makes room. */
  async get(named) {
    const handle = this.handle(named);
    const loading = this.#loaded.get(handle) ?? open(this.file(handle));
    this.#loaded.delete(handle);
    this.#loaded.set(handle, loading);
    while (this.#loaded.size > LOADED) this.close(this.#loaded.keys().next().value);
    try {
      return await loading;
    } catch (error) {
      this.#loaded.delete(handle);
      throw new Problem(error.message);
    }
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

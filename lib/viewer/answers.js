'use strict';

// The analyzer's answers to the page of `heapdump-rs view`, and how far the loading is.

const fs = require('node:fs');
const os = require('node:os');

const { findLeaks, open, trend } = require('../analyze.js');
const { documentOf } = require('./document.js');

/** So many groups that grew, and so many leaks, are told. */
const GROUPS = 40;

/** What the page may ask, and of what. */
const QUESTIONS = {
  objects: ({ last }, options) => last.objects(options),
  page: ({ last }, { id, ...options }) => last.page(id, { ...options, values: true }),
  retainers: ({ last }, { id, ...options }) => last.retainers(id, options),
  path: ({ last }, { id, ...options }) => last.path(id, options),
  tree: ({ last }, options) => last.tree(options),
  summary: ({ last }, options) => last.summary(options),
  compare: ({ last, all }, { with: base, ...options }) => {
    if (all[base] === undefined) throw new Error('there is no such snapshot');
    return all[base].compare(last, options);
  },
};

class Answers {
  #files;
  #loading;
  #ready = false;
  #error = null;

  /** Begins to load. `names`: what the files are called for a person. */
  constructor(paths, names, options = {}) {
    this.#files = paths.map((path, index) => ({ name: names[index], read: 0, total: fs.statSync(path).size }));
    this.#loading = this.#load(paths, names, options);
    this.#loading.then(
      () => (this.#ready = true),
      (error) => (this.#error = error.message),
    );
  }

  /** Settles when all is loaded and computed; rejects with why a file cannot be used. */
  get loaded() {
    return this.#loading;
  }

  status() {
    return { ready: this.#ready, error: this.#error, files: this.#files };
  }

  async report() {
    return (await this.#loading).document;
  }

  async ask(question, options) {
    if (!Object.hasOwn(QUESTIONS, question)) throw new Error('there is no such question');
    return QUESTIONS[question](await this.#loading, options);
  }

  /** One after the other: together they would need the memory that loading takes of all at once. */
  async #load(paths, names, options) {
    const all = [];
    for (const [index, path] of paths.entries()) {
      const file = this.#files[index];
      const onProgress = (bytes) => (file.read = Math.min(bytes, file.total));
      try {
        all.push(await open(path, { ...options, onProgress }));
      } catch (error) {
        throw Object.assign(error, { message: `${names[index]}: ${error.message}` });
      }
      file.read = file.total;
    }
    const last = all.at(-1);
    const report = last.report({ values: true });
    prepare(last, report).catch(() => {});
    const heap = await report;
    const grew = all.length > 1 ? await trend(all, { files: names, limit: GROUPS }) : null;
    const three = all.length > 3 ? [all[0], all[all.length >> 1], last] : all;
    const leaks = all.length > 1 ? await findLeaks(three, { limit: GROUPS, series: grew }) : null;
    return { all, last, document: documentOf({ values: true, files: names, heap, trend: grew, leaks }) };
  }
}

/**
 * What takes longest the first time. A second core does it while one makes the first page, which is not to wait for it; a single core
 * does it while a person looks at that page. Who asks for it meanwhile waits for it.
 */
async function prepare(snapshot, firstPage) {
  if (os.availableParallelism() === 1) await firstPage;
  for (const measure of ['bytes', 'objects']) await snapshot.tree({ by: 'paths', measure });
  await snapshot.objects({ where: "name = ''", limit: 1 });
  await snapshot.tree({ by: 'dominators', measure: 'objects' });
}

module.exports = { Answers };

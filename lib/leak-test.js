'use strict';

// heapdump-rs/test: a test that fails when what it does leaks. Snapshots are taken around rounds of different numbers of runs.
// What grows in every round in proportion to its runs is a suspect, and a leak if it does so in other rounds again.

const { LeakError, annotate } = require('./leak-test/leak-error.js');
const { readOptions } = require('./leak-test/options.js');
const { collector, settle, turn } = require('./leak-test/settle.js');
const { SnapshotFiles } = require('./leak-test/snapshot-files.js');
const { suspectsIn } = require('./leak-test/suspects.js');

/**
 * How many rounds of one a round is. What comes with each snapshot, and what waits for a while after each round, grows in another
 * proportion.
 */
const FIRST_LOOK = [1, 3, 2];
const SECOND_LOOK = [2, 3, 1];

let before = Promise.resolve();

/** Rejects with a LeakError if something stays of every run of `work`. */
async function expectNoLeak(work, options) {
  const settings = readOptions(work, options);
  // Of two at a time each would see what the other does.
  const result = before.then(() => look(work, settings));
  before = result.catch(() => {});
  return result;
}

async function look(work, settings) {
  const files = new SnapshotFiles(settings.directory);
  try {
    const { iterations, warmup } = settings;
    const runner = new Runner(work, files);
    await runner.run(warmup);
    await runner.snapshot();
    const [first, ...rounds] = await runner.rounds(FIRST_LOOK, iterations);
    const found = await suspectsIn(files.names, [warmup, first, ...rounds], settings);
    if (found.length === 0) return;
    // From the first snapshot on: the longer, the clearer.
    files.keepOnlyFirst();
    const [next, ...later] = await runner.rounds(SECOND_LOOK, iterations);
    const done = rounds.reduce((sum, round) => sum + round, first + next);
    const again = await suspectsIn(files.names, [warmup, done, ...later], settings);
    const isSame = (one) => (other) => one.class === other.class && one.heldBy === other.heldBy;
    const leaks = again.filter((suspect) => found.some(isSame(suspect)));
    const runs = later.reduce((sum, round) => sum + round, done);
    if (leaks.reduce((sum, { growth }) => sum + growth, 0) / runs <= settings.max) return;
    const error = new LeakError(leaks, { runs, rounds: [done, ...later], files: await files.keep() });
    annotate(error);
    throw error;
  } finally {
    files.remove();
  }
}

class Runner {
  #work;
  #files;
  #collect = collector();
  #done = 0;

  constructor(work, files) {
    this.#work = work;
    this.#files = files;
  }

  async run(count) {
    const work = this.#work;
    for (let i = 0; i < count; i++) {
      await work(this.#done++);
      // Work that never waits would not let go of what ends in a later turn.
      if (i % 10 === 9) await turn();
    }
  }

  /** Returns how many runs each round had. */
  async rounds(multiples, iterations) {
    const counts = multiples.map((multiple) => multiple * iterations);
    for (const count of counts) {
      await this.run(count);
      await this.snapshot();
    }
    return counts;
  }

  async snapshot() {
    await settle(this.#collect);
    await this.#files.take();
  }
}

module.exports = { expectNoLeak, LeakError };

'use strict';

// Lets what has ended end, so that a snapshot has what stays. The timers are taken before anybody replaces them by false ones.

const { setImmediate, setTimeout } = require('node:timers');

/** In each there is time for a socket to close at both ends. */
const ROUNDS = 3;
const TURNS = 10;
const PAUSE = 5;

const turn = () => new Promise((resolve) => setImmediate(resolve));

/**
 * What a FinalizationRegistry and finalizers of addons let go of goes only when garbage was collected here: the child that takes a
 * snapshot collects its own, and nobody is called back there.
 */
async function settle(collect) {
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < TURNS; i++) await turn();
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    collect();
  }
  await turn();
}

/** V8's `gc`, without `--expose-gc`. */
function collector() {
  const { setFlagsFromString } = require('node:v8');
  const { runInNewContext } = require('node:vm');
  const exposed = runInNewContext('globalThis.gc');
  if (exposed !== undefined) return exposed;
  setFlagsFromString('--expose-gc');
  try {
    return runInNewContext('gc');
  } finally {
    setFlagsFromString('--no-expose-gc');
  }
}

module.exports = { collector, settle, turn };

'use strict';

// How long tests wait before they take something for hung, in ms: at least ten times what the slowest takes on a machine at
// rest. CommonJS, because the programs under test (`__test__/children/host.cjs`) read it too.

/** Where a processor is emulated (test:vm), everything takes so many times as long. */
const times = Number(process.env.HEAPDUMP_TEST_TIMES ?? 1);

module.exports = {
  /** A file of tests, or a long run of another tool. */
  FILE: times * 30 * 60_000,
  /** One thing that a test waits for. */
  WAIT: times * 5 * 60_000,
  /** A program under test ends by itself after this, when nobody is left to end it. */
  PROGRAM: times * 15 * 60_000,
};

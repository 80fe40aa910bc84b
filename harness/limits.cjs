'use strict';

// How long tests wait before they take something for hung, in ms: at least ten times what the slowest takes on a machine at
// rest. CommonJS, because the programs under test (`__test__/children/host.cjs`) read it too.

module.exports = {
  /** A file of tests, or a long run of another tool. */
  FILE: 30 * 60_000,
  /** One thing that a test waits for. */
  WAIT: 5 * 60_000,
  /** A program under test ends by itself after this, when nobody is left to end it. */
  PROGRAM: 15 * 60_000,
};

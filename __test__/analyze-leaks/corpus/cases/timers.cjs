// A timeout of a day for each session.
'use strict';
exports.expect = /timers\.cjs:6:/;
exports.leak = (i) => {
  const session = { user: `user ${i}`, cart: new Array(40).fill(i) };
  return setTimeout(() => {
    session.cart = null;
  }, 86_400_000).unref();
};
exports.repaired = (i) => clearTimeout(exports.leak(i));

// Sessions in a Map that no logout deletes.
'use strict';
const sessions = new Map();
exports.expect = /Map `sessions` in map-of-sessions\.cjs/;
exports.leak = (i) => {
  sessions.set(`s${i}`, { user: `user ${i}`, cart: new Array(40).fill(i) });
};
exports.repaired = (i) => {
  exports.leak(i);
  sessions.delete(`s${i - 10}`);
};

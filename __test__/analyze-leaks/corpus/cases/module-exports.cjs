// What a module exports grows; it has no variable of its own.
'use strict';
module.exports = {
  entries: [],
  expect: /module-exports\.cjs: exports → |Array `entries`/,
  leak(i) {
    this.entries.push({ id: i, rows: new Array(30).fill(i) });
  },
  repaired(i) {
    this.leak(i);
    if (this.entries.length > 10) this.entries.shift();
  },
};

// An undo list whose end is never cut.
'use strict';
class Change {
  constructor(before, i) {
    this.before = before;
    this.text = `change ${i}`;
    this.values = new Array(20).fill(i);
  }
}
let last = null;
exports.expect = /linked-list\.cjs: last → Change/;
exports.leak = (i) => {
  last = new Change(last, i);
};
exports.repaired = (i) => {
  last = new Change(last, i);
  if (last.before) last.before.before = null;
};

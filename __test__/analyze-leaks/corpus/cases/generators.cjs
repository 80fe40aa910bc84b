// Generators that are begun and never finished.
'use strict';
const cursors = new Map();
function* rows(id) {
  const page = new Array(50).fill(id);
  for (const row of page) yield row;
}
exports.expect = /generators\.cjs: cursors → Map/;
exports.leak = (i) => {
  const cursor = rows(i);
  cursor.next();
  cursors.set(i, cursor);
};
exports.repaired = (i) => {
  exports.leak(i);
  cursors.delete(i);
};

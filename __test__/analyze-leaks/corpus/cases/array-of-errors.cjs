// Errors are collected for a page that nobody looks at.
'use strict';
const recent = [];
exports.expect = /Array `recent` in array-of-errors\.cjs|array-of-errors\.cjs: recent → /;
exports.leak = (i) => {
  recent.push(new Error(`request ${i} failed`));
};
exports.repaired = (i) => {
  exports.leak(i);
  if (recent.length > 20) recent.shift();
};

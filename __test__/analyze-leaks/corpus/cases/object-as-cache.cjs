// Answers in an object, by their addresses.
'use strict';
const answers = {};
exports.expect = /object-as-cache\.cjs: answers → /;
exports.leak = (i) => {
  answers[`/items/${i}`] = { status: 200, body: `item ${i} `.repeat(20) };
};
exports.repaired = (i) => {
  exports.leak(i);
  delete answers[`/items/${i - 10}`];
};

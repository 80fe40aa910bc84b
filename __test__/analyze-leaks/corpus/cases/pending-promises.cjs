// Answers that are waited for and never come.
'use strict';
const waiting = new Map();
exports.expect = /pending-promises\.cjs: waiting → /;
exports.leak = (i) => {
  const promise = new Promise((resolve, reject) => {
    waiting.set(i, { resolve, reject, sent: new Array(20).fill(i) });
  });
  promise.then((answer) => answer.length);
};
exports.repaired = (i) => {
  exports.leak(i);
  waiting.get(i).resolve('');
  waiting.delete(i);
};

// A log in one string.
'use strict';
let log = '';
exports.expect = /joined-string\.cjs: log/;
exports.leak = (i) => {
  log += `request ${i} was answered with ${'x'.repeat(200)}${i}\n`;
};
exports.repaired = (i) => {
  log = '';
  exports.leak(i);
};

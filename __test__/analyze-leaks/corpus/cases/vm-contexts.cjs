// A vm context for each template, never let go.
'use strict';
const vm = require('node:vm');
const compiled = [];
exports.steps = 30;
exports.expect = /Array `compiled` in vm-contexts\.cjs/;
exports.leak = (i) => {
  compiled.push(vm.runInContext('(function render(x) { return n + x; })', vm.createContext({ n: i })));
};
exports.repaired = (i) => {
  compiled.length = 0;
  if (i % 10 === 0) exports.leak(i);
};

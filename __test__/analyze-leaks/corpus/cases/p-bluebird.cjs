// Bluebird's promises that nobody settles.
'use strict';
const Promise = require('bluebird');
const waiting = [];
exports.expect = /p-bluebird\.cjs: waiting → Array|Array `waiting` in p-bluebird\.cjs/;
exports.leak = (i) => {
  waiting.push(new Promise(() => {}).then(() => i).bind({ id: i, rows: new Array(20).fill(i) }));
};
exports.repaired = (i) => {
  exports.leak(i);
  waiting.pop();
};

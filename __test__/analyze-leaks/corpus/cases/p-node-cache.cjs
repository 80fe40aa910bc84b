// A cache without a time to live.
'use strict';
const NodeCache = require('node-cache');
const cache = new NodeCache({ useClones: false, checkperiod: 0 });
exports.expect = /p-node-cache\.cjs: cache → NodeCache/;
exports.leak = (i) => cache.set(`user:${i}`, { id: i, rights: new Array(30).fill(i) });
exports.repaired = (i) => {
  exports.leak(i);
  cache.del(`user:${i - 10}`);
};

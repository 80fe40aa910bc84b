// keyv in memory without a time to live.
'use strict';
const Keyv = require('keyv');
const store = new Keyv();
exports.expect = /p-keyv\.cjs: store → Keyv/;
exports.leak = (i) => store.set(`k${i}`, { id: i, rows: new Array(20).fill(i) });
exports.repaired = async (i) => {
  await exports.leak(i);
  await store.delete(`k${i}`);
};

// An LRU cache whose limit is far away.
'use strict';
const { LRUCache } = require('lru-cache');
const pages = new LRUCache({ max: 100_000 });
const small = new LRUCache({ max: 20 });
exports.expect = /p-lru-cache\.cjs: pages → /;
exports.leak = (i) => pages.set(`/p/${i}`, { html: new Array(40).fill(i) });
exports.repaired = (i) => small.set(`/p/${i}`, { html: new Array(40).fill(i) });

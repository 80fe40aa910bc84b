// Each store of an AsyncLocalStorage is kept by a timer that was started in it.
'use strict';
const { AsyncLocalStorage } = require('node:async_hooks');
const storage = new AsyncLocalStorage();
const beat = () => storage.getStore();
exports.expect = /async-local-storage\.cjs:5:|beat\(\)/;
exports.leak = (i) => storage.run({ request: i, rows: new Array(40).fill(i) }, () => setTimeout(beat, 86_400_000).unref());
exports.repaired = (i) => clearTimeout(exports.leak(i));

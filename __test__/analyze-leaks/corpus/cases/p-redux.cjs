// A subscriber for each session that nobody unsubscribes.
'use strict';
const { createStore } = require('redux');
const store = createStore((state = { count: 0 }) => state);
const subscribe = (i) => {
  const session = { id: i, log: new Array(20).fill(i) };
  return store.subscribe(() => session.log.push(store.getState().count));
};
exports.expect = /p-redux\.cjs: store → |p-redux\.cjs:7:/;
exports.leak = (i) => subscribe(i);
exports.repaired = (i) => subscribe(i)();

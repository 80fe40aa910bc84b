// Values of a WeakMap, whose keys are all kept.
'use strict';
const details = new WeakMap();
const users = new Set();
exports.expect = /weak-map-keys\.cjs: users → Set/;
exports.leak = (i) => {
  const user = { id: i };
  users.add(user);
  details.set(user, { rights: new Array(50).fill(i) });
};
exports.repaired = (i) => {
  users.clear();
  exports.leak(i);
};

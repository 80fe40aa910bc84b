// Async functions that wait for a lock that is never free.
'use strict';
const lock = { waiting: [] };
const free = () => new Promise((resolve) => lock.waiting.push(resolve));
async function handle(i) {
  const body = new Array(60).fill(i);
  await free();
  return body.length;
}
exports.expect = /suspended-functions\.cjs: lock → [^]*handle\(\) of suspended-functions\.cjs:5:/;
exports.leak = (i) => {
  handle(i);
};
exports.repaired = (i) => {
  handle(i);
  for (const resolve of lock.waiting.splice(0)) resolve();
};

// A variable that somebody forgot to declare.
globalThis.visits = [];
exports.expect = /Array `globalThis\.visits`|global: visits → /;
exports.leak = (i) => {
  globalThis.visits.push({ at: i, path: `/a/${i}`, headers: new Array(20).fill(i) });
};
exports.repaired = (i) => {
  exports.leak(i);
  if (globalThis.visits.length > 10) globalThis.visits.shift();
};

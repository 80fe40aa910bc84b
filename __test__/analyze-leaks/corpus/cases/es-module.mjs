// A variable that an ES module exports.
export const metrics = new Map();
export const expect = /Map `metrics` in es-module\.mjs|es-module\.mjs: metrics → Map/;
export const leak = (i) => metrics.set(`metric ${i}`, { values: new Array(30).fill(i) });
export const repaired = (i) => {
  leak(i);
  metrics.delete(`metric ${i - 10}`);
};

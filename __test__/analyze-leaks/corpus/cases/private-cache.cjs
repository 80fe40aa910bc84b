// A memoized function keeps its answers in its own variables.
'use strict';
function memoize(compute) {
  const known = new Map();
  return (key) => {
    if (!known.has(key)) known.set(key, compute(key));
    return known.get(key);
  };
}
const render = (id) => ({ id, html: `<p>${id}</p>`.repeat(20) });
const cachedRender = memoize(render);
const cachedHead = memoize(render);
exports.expect = /private-cache\.cjs: cachedRender → .*known → Map/;
exports.leak = (i) => cachedRender(i);
exports.repaired = (i) => {
  cachedHead('head');
  return render(i);
};

// lodash.memoize keeps an answer for each argument.
'use strict';
const { memoize } = require('lodash');
const render = memoize((id) => ({ id, html: `<p>${id}</p>`.repeat(20) }));
exports.expect = /p-lodash-memoize\.cjs: render → memoized\(\) → cache/;
exports.leak = (i) => render(i);
exports.repaired = (i) => {
  render(i);
  render.cache.clear();
};

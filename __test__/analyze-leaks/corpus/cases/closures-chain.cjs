// Middleware that wraps the last one, for each change of the settings.
'use strict';
let handler = () => 0;
function wrap(next, i) {
  const settings = { version: i, limits: new Array(20).fill(i) };
  return function configured() {
    return settings.version + next();
  };
}
const first = handler;
exports.expect = /closures-chain\.cjs: handler → configured\(\)[^]*configured\(\) of closures-chain\.cjs:6:/;
exports.leak = (i) => {
  handler = wrap(handler, i);
};
exports.repaired = (i) => {
  handler = wrap(first, i);
};

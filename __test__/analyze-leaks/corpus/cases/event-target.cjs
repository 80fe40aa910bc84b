// A listener for each request on a signal that lives as long as the process.
'use strict';
const shutdown = new AbortController();
require('node:events').setMaxListeners(0, shutdown.signal);
exports.expect = /event-target\.cjs: shutdown → AbortController|event-target\.cjs:8:/;
function listen(i) {
  const work = { id: i, parts: new Array(20).fill(i) };
  const onAbort = () => work.parts.push('aborted');
  shutdown.signal.addEventListener('abort', onAbort);
  return onAbort;
}
exports.leak = (i) => listen(i);
exports.repaired = (i) => shutdown.signal.removeEventListener('abort', listen(i));

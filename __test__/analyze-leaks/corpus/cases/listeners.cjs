// A listener on a bus for each request, never removed.
'use strict';
const { EventEmitter } = require('node:events');
const bus = new EventEmitter().setMaxListeners(0);
function listen(i) {
  const seen = new Array(20).fill(i);
  const onMessage = (message) => seen.push(message);
  bus.on('message', onMessage);
  return onMessage;
}
exports.expect = /listeners\.cjs: bus → EventEmitter[^]*onMessage\(\) of listeners\.cjs:7:/;
exports.leak = (i) => listen(i);
exports.repaired = (i) => bus.removeListener('message', listen(i));

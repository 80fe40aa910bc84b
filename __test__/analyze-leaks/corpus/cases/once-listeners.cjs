// once() for an event that never comes.
'use strict';
const { EventEmitter } = require('node:events');
const app = new EventEmitter().setMaxListeners(0);
function wait(i) {
  const job = { id: i, log: new Array(20).fill(i) };
  const onDrain = () => job.log.push('drained');
  app.once('drain', onDrain);
  return onDrain;
}
exports.expect = /once-listeners\.cjs: app → EventEmitter/;
exports.leak = (i) => wait(i);
exports.repaired = (i) => app.off('drain', wait(i));

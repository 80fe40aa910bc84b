// A queue of async that is paused: tasks come and none is done.
'use strict';
const { queue } = require('async');
const mails = queue((mail, done) => setImmediate(done), 1);
mails.pause();
const running = queue((mail, done) => setImmediate(done), 10);
exports.expect = /p-async-queue\.cjs: mails → /;
exports.leak = (i) => {
  mails.push({ to: `u${i}`, body: new Array(20).fill(i) });
};
exports.repaired = (i) => {
  running.push({ to: `u${i}`, body: new Array(20).fill(i) });
};

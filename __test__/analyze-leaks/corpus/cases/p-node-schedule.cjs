// A job for each reminder, never cancelled.
'use strict';
const schedule = require('node-schedule');
const plan = (i) => {
  const reminder = { id: i, text: new Array(20).fill(i) };
  return schedule.scheduleJob(new Date(Date.now() + 86_400_000 + i), () => reminder.text.push('due'));
};
exports.steps = 300;
exports.expect = /p-node-schedule\.cjs: schedule → |p-node-schedule\.cjs:6:/;
exports.leak = (i) => plan(i);
exports.repaired = (i) => plan(i).cancel();

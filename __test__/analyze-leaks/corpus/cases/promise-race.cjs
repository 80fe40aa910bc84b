// Promise.race with one promise that stays pending keeps every loser.
'use strict';
const stopped = new Promise(() => {});
exports.expect = /promise-race\.cjs: stopped → Promise/;
exports.leak = (i) => Promise.race([stopped, Promise.resolve({ id: i, rows: new Array(40).fill(i) })]);
exports.repaired = (i) => Promise.race([new Promise(() => {}), Promise.resolve({ id: i, rows: new Array(40).fill(i) })]);

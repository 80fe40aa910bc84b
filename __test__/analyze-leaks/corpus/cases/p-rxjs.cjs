// A subscription for each view that is never ended.
'use strict';
const { Subject, map } = require('rxjs');
const prices = new Subject();
exports.expect = /p-rxjs\.cjs: prices → Subject|p-rxjs\.cjs:9:/;
const show = (i) => {
  const view = { id: i, rows: new Array(20).fill(i) };
  return prices.pipe(map((price) => price + i)).subscribe((price) => view.rows.push(price));
};
exports.leak = (i) => show(i);
exports.repaired = (i) => show(i).unsubscribe();

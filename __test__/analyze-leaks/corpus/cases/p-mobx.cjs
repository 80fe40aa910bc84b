// A reaction for each component that outlives it.
'use strict';
const { observable, autorun } = require('mobx');
const store = observable({ count: 0 });
exports.expect = /p-mobx\.cjs: store → |p-mobx\.cjs:8:/;
const mount = (i) => {
  const component = { id: i, rendered: new Array(20).fill(i) };
  return autorun(() => component.rendered.push(store.count));
};
exports.leak = (i) => mount(i);
exports.repaired = (i) => mount(i)();

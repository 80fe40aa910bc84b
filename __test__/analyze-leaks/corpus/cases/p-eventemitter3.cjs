// A listener of eventemitter3 for each room.
'use strict';
const EventEmitter = require('eventemitter3');
const hub = new EventEmitter();
const join = (i) => {
  const room = { id: i, people: new Array(20).fill(i) };
  const onJoin = (name) => room.people.push(name);
  hub.on('join', onJoin);
  return onJoin;
};
exports.expect = /p-eventemitter3\.cjs: hub → EventEmitter/;
exports.leak = (i) => join(i);
exports.repaired = (i) => hub.off('join', join(i));

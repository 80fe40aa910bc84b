// One DataLoader for all requests: it never forgets.
'use strict';
const DataLoader = require('dataloader');
const load = async (ids) => ids.map((id) => ({ id, columns: new Array(30).fill(id) }));
const users = new DataLoader(load);
exports.expect = /p-dataloader\.cjs: users → DataLoader/;
exports.leak = (i) => users.load(i);
exports.repaired = (i) => new DataLoader(load).load(i);

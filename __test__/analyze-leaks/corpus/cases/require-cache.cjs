// A module that is loaded anew for each request: its parent keeps them all.
'use strict';
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'leaks-')), 'config.cjs');
fs.writeFileSync(file, 'module.exports = { limits: new Array(500).fill(0.5), name: "config" };');
exports.steps = 300;
exports.expect = /`module\.children` of require-cache\.cjs/;
exports.leak = () => {
  delete require.cache[file];
  require(file);
};
exports.repaired = () => {
  exports.leak();
  module.children.pop();
};

// Streams that are opened for each upload and forgotten.
'use strict';
const { PassThrough } = require('node:stream');
const uploads = [];
exports.steps = 200;
exports.expect = /streams\.cjs: uploads → Array|Array `uploads` in streams\.cjs/;
exports.leak = (i) => {
  const upload = new PassThrough();
  upload.on('data', (chunk) => chunk.length + i);
  uploads.push(upload);
};
exports.repaired = (i) => {
  exports.leak(i);
  uploads.pop().destroy();
};

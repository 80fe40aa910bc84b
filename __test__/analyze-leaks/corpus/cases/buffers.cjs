// Chunks for a client that does not read.
'use strict';
const queue = { chunks: [] };
exports.expect = /buffers\.cjs: queue → /;
exports.leak = (i) => {
  queue.chunks.push(Buffer.alloc(6000, i));
};
exports.repaired = (i) => {
  exports.leak(i);
  if (queue.chunks.length > 5) queue.chunks.shift();
};

'use strict';

const v8 = require('node:v8');

/**
 * What `process.memoryUsage()` says. At the limit of open files it throws, because Node.js opens one for the resident memory;
 * out of a timer or a request that would end the application, so there is no `rss` then.
 */
function memoryUsage() {
  try {
    return process.memoryUsage();
  } catch {
    const { used_heap_size, total_heap_size, external_memory } = v8.getHeapStatistics();
    return { heapUsed: used_heap_size, heapTotal: total_heap_size, external: external_memory };
  }
}

module.exports = { memoryUsage };

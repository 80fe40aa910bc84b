'use strict';

// A thread of app.cjs, bundled as a file of its own.

const path = require('node:path');
const { parentPort } = require('node:worker_threads');

const { writeSnapshot } = require('heapdump-rs/promises');

writeSnapshot(path.join(process.argv[2], 'worker.heapsnapshot')).then(
  ({ mode }) => parentPort.postMessage(mode),
  (error) => parentPort.postMessage(error.stack),
);

'use strict';

// A thread of app.cjs, bundled as a file of its own; and a program that only takes a snapshot: `node worker.cjs DIRECTORY`.

const path = require('node:path');
const { parentPort } = require('node:worker_threads');

const { writeSnapshot } = require('heapdump-rs/promises');

const tell = (text) => (parentPort ? parentPort.postMessage(text) : console.log(text));

writeSnapshot(path.join(process.argv[2], 'worker.heapsnapshot')).then(
  ({ mode }) => tell(mode),
  (error) => tell(error.stack),
);

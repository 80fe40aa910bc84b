'use strict';

// Where files go that have no directory of their own: what NODE_HEAPDUMP_OPTIONS says (`dir=`), then what Node.js was told
// for its own files (`--diagnostic-dir`), then the current directory. The addon has settled that; here is what JavaScript
// adds to it.

const path = require('node:path');

const { heap } = require('./native.js');

/** A default name in that directory: as it is where that is the current one, as node-heapdump hands it back. */
function inDefaultDirectory(name) {
  const { directory } = heap.options();
  return directory === undefined ? name : path.join(directory, name);
}

/** The monitor has a variable of its own between the two. */
function monitorDirectory() {
  const { directory, directoryFrom } = heap.options();
  return (directoryFrom === 'dir=' && directory) || process.env.HEAP_SNAPSHOT_DIR || directory || '.';
}

module.exports = { inDefaultDirectory, monitorDirectory };

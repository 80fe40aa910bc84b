// Loads a file with memlab and computes dominators and retained sizes: `node analyze-memlab.cjs FILE`,
// in a folder where memlab is installed.
'use strict';
const { createRequire } = require('node:module');
const path = require('node:path');
const process = require('node:process');

const { analysis, utils } = createRequire(path.join(process.cwd(), 'x.js'))('@memlab/core');

utils.getSnapshotFromFile(process.argv[2], { buildNodeIdIndex: false, verbose: false }).then((snapshot) => {
  analysis.preparePathFinder(snapshot);
  let total = 0;
  snapshot.nodes.forEach((node) => {
    total = Math.max(total, node.retainedSize);
  });
  process.stdout.write(`${total}\n`);
  process.exit(0);
});

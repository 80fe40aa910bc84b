'use strict';

// A process of its own, which lib/leave-report.js has started: leave.js SNAPSHOT… REPORT BYTES. It may allocate so many bytes, goes
// behind the application in every queue, and says in a line on standard error why there is no report.

const fs = require('node:fs');
const path = require('node:path');

const { addon } = require('../native.js');

const files = process.argv.slice(2, -2);
const [output, budget] = process.argv.slice(-2);

main().catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});

async function main() {
  if (!addon.standAside(Number(budget))) throw new Error('nobody says how much memory a process has: is there no /proc?');
  // Another process made it while this one waited for its turn.
  if (fs.existsSync(output)) return;
  const { code, output: answer } = addon.captureCommand(['report', ...files]);
  // It has said why.
  if (code !== 0) return void (process.exitCode = code);
  const document = require('./document.js').documentOf({ ...JSON.parse(answer.toString()), files });
  // A page is handed round: where the files lie is nobody's business.
  const page = require('./page.js').reportPage({ ...document, files: files.map((file) => path.basename(file)) });
  await require('../new-file.js').writeWhole(output, page);
}

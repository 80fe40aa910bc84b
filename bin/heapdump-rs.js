#!/usr/bin/env node
'use strict';

// The command line: commands that deal with processes are lib/cli/, all others are the addon's.

const OWN = {
  ps: [() => require('../lib/cli/ps.js'), 'Lists the Node.js processes of this machine, and how each would be asked'],
  'node-snapshot': [
    () => require('../lib/cli/node-snapshot.js'),
    "Fetches a process' snapshot: from an HTTP endpoint, by its pid, or from its heap image",
  ],
  // The addon's list has it.
  report: [() => require('../lib/cli/report.js')],
  view: [() => require('../lib/cli/view.js'), 'Looks into snapshots in a browser'],
  sql: [() => require('../lib/cli/sql.js'), 'Answers a question in SQL about snapshots, by DuckDB where it is installed'],
  doctor: [() => require('../lib/cli/doctor.js'), 'What a dump would meet here, or in another process'],
};

const [first, ...rest] = process.argv.slice(2);
const asked = first === 'help' ? rest[0] : first;

if (Object.hasOwn(OWN, asked ?? '')) {
  const { run } = require('../lib/cli/command.js');
  run(OWN[asked][0](), first === 'help' ? ['--help'] : rest);
} else if (rest.some((word) => /\.heapimage(\.zst)?(\.age)?$/.test(word))) {
  const { guarded } = require('../lib/cli/command.js');
  guarded(() => require('../lib/cli/images-first.js').withSnapshots([first, ...rest], analyze));
} else {
  process.exitCode = analyze(process.argv.slice(2));
  if (asked === undefined || asked === '--help' || asked === '-h') listOwn(process.exitCode === 0 ? 1 : 2);
}

function analyze(words) {
  return require('../lib/native.js').addon.runCommand(words);
}

/** Below the addon's own list, which is on that descriptor already. */
function listOwn(descriptor) {
  const lines = Object.entries(OWN).filter(([, [, about]]) => about).map(([name, [, about]]) => `  ${name.padEnd(14)}  ${about}\n`);
  try {
    require('node:fs').writeSync(descriptor, `\nTo look at, running processes, and SQL:\n${lines.join('')}`);
  } catch (error) {
    // A reader that went away (`| head`) has all that it wanted.
    if (error.code !== 'EPIPE') throw error;
  }
}

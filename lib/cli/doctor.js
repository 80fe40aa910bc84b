'use strict';

// npx heapdump-rs doctor: what a dump would meet, a line each, with what to do.

const { EXIT, wholeNumber } = require('./command.js');
const { lookHere } = require('./doctor-here.js');
const { lookAt } = require('./doctor-process.js');
const { Target, whileItRuns } = require('./processes.js');

const help = `Says what a dump would meet: can a child be forked, memory, signals, files, the pause to expect

Usage: heapdump-rs doctor [--pid PID] [--json]

Options:
  --pid PID   A running process instead of this shell's surroundings (Linux)
  --json      Answer in JSON
  -h, --help  Print help

Exit codes: 0 nothing prevents a dump, 1 something does, 2 the process cannot be looked at

Example:
  heapdump-rs doctor --pid 4242
`;

const options = { pid: { type: 'string' }, json: { type: 'boolean' } };

async function main({ pid, json }) {
  const target = pid === undefined ? undefined : new Target(wholeNumber('pid', pid));
  const findings = await (target === undefined ? lookHere() : whileItRuns(target, () => lookAt(target)));
  if (json) console.log(JSON.stringify(findings, null, 2));
  else for (const { check, state, text } of findings) console.log(`${MARKS[state]} ${check.padEnd(7)} ${text}`);
  return findings.some(({ state }) => state === 'bad') ? EXIT.findings : EXIT.fine;
}

const MARKS = { good: '✓', warning: '!', bad: '✗' };

module.exports = { help, options, main };

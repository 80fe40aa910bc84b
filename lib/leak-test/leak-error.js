'use strict';

const path = require('node:path');

/** Something stays of every run. */
class LeakError extends Error {
  code = 'ERR_HEAPDUMP_LEAK';

  /**
   * @param {object[]} suspects as in the answer of `findLeaks`
   * @param {{ runs: number, rounds: number[], files?: { directory: string, snapshots: string[], report?: string } }} about
   */
  constructor(suspects, { runs, rounds, files }) {
    super(words(suspects, runs, rounds, files));
    this.suspects = suspects;
    this.snapshots = files?.snapshots ?? [];
    this.report = files?.report;
  }

  get name() {
    return 'LeakError';
  }
}

function words(suspects, runs, rounds, files) {
  const bytes = Math.round(suspects.reduce((sum, { growth }) => sum + growth, 0) / runs);
  const list = suspects.map(({ sentence }, index) => `${index + 1}. ${sentence}`);
  const where = files === undefined
    ? 'The option `directory` keeps the snapshots.'
    : `Snapshots: npx heapdump-rs find-leaks --snapshot-dir ${files.directory}`;
  const page = files?.report === undefined ? [] : [`Report: ${files.report}`];
  return [
    `Each run leaves about ${bytes} bytes behind. That grew in every one of two sets of rounds, the last of` +
      ` ${rounds.join(', ')} runs, in proportion to them.`,
    ...list,
    where,
    ...page,
  ].join('\n');
}

/** For the page of a pull request, where GitHub Actions runs the tests. */
function annotate({ suspects }) {
  if (process.env.GITHUB_ACTIONS !== 'true') return;
  for (const suspect of suspects) {
    const place = placeOf(suspect);
    const at = place === undefined ? '' : `file=${property(place.file)},line=${place.line},col=${place.column},`;
    process.stdout.write(`\n::error ${at}title=Memory leak::${escape(suspect.sentence)}\n`);
  }
}

/** The place of the application's code, if it is in the checked out files. */
function placeOf({ functions, location }) {
  const root = process.env.GITHUB_WORKSPACE ?? process.cwd();
  for (const place of [...functions.map((one) => one.place), location]) {
    if (!place?.script || place.script.startsWith('node:')) continue;
    const script = place.script.startsWith('file:') ? require('node:url').fileURLToPath(place.script) : place.script;
    const file = path.relative(root, script);
    if (path.isAbsolute(script) && !file.startsWith('..') && !path.isAbsolute(file) && !/(?:^|[\\/])node_modules[\\/]/.test(file)) {
      return { file, line: place.line, column: place.column };
    }
  }
  return undefined;
}

/** As @actions/core's `escapeData` and `escapeProperty`. */
const escape = (text) => text.replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
const property = (text) => escape(text).replace(/:/g, '%3A').replace(/,/g, '%2C');

module.exports = { LeakError, annotate };

// A test file that fails runs once more by itself: on a machine that others load too, one failure is no verdict yet, and
// nothing is swept under the carpet either.

import { appendFileSync, existsSync, readFileSync } from 'node:fs';

/** More than so many files that fail at first are a fault of their own. */
export const MOST_REPEATED = 2;

/** So many files run beside each other: most of their time they wait, and a test holds on a busy machine. */
const LANES = 3;

/**
 * Runs each of `files`; what fails, once more, by itself. What then passes counts, and is added to the file `list`.
 *
 * @param {string[]} files
 * @param {(file: string) => Promise<boolean>} passes runs one
 * @param {string} list a path, shared by all that runs in one `.ci/run`: a file a line
 * @param {string} where it ran: the Node.js version, for the list
 * @returns {Promise<boolean>} whether all passed, and `list` is short enough
 */
export async function runAndRepeat(files, passes, list, where, say = console.log) {
  const waiting = [...files];
  const failedOnce = [];
  const lane = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) if (!(await passes(file))) failedOnce.push(file);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  const failed = [];
  for (const file of failedOnce) {
    say(`${file} failed; it runs once more`);
    if (await passes(file)) appendFileSync(list, `${file} on ${where}\n`);
    else failed.push(file);
  }
  for (const file of failed) say(`failed twice: ${file}`);
  const repeated = existsSync(list) ? readFileSync(list, 'utf8').split('\n').length - 1 : 0;
  if (repeated > MOST_REPEATED) say(`${repeated} files passed only when they ran again; ${MOST_REPEATED} may`);
  return failed.length === 0 && repeated <= MOST_REPEATED;
}

// The tests of __test__/ on one Node: used by npm test and by npm run test:matrix.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import limits from '../harness/limits.cjs';
import { runAndRepeat } from '../harness/repeat.mjs';
import { must, root, run } from '../harness/run.mjs';

/** Tests of files, limits, processes, words and the analyzer, whose outcome V8 has no part in: by the beginning of their names. */
const WITHOUT_V8 = [
  'analyze', 'announce', 'container', 'directory', 'doctor', 'drop-in-files', 'exporters', 'facts', 'house', 'inspections', 'leave-report',
  'limits', 'memory', 'names', 'node-snapshot-image-hostile', 'openprofiling', 'ps', 'reliability', 'repeat', 'report', 'seeds', 'validate', 'view',
];

/** Those of files in which a version of V8 or Node.js may be the reason that they fail. */
export const ofV8 = (file) => !WITHOUT_V8.some((name) => file.startsWith(name));

/**
 * Runs every `__test__/*.test.mjs` with the given Node and shows the report. In `.ci/run`, which names a list in
 * REPEATED_TESTS, some run beside each other, and one that fails once more.
 * @returns {Promise<boolean>} whether all passed
 */
export async function runSuite(node, only = [], isWanted = () => true) {
  const files = readdirSync(join(root, '__test__'))
    .filter((file) => file.endsWith('.test.mjs') && isWanted(file))
    .filter((file) => only.length === 0 || only.some((part) => file.includes(part)))
    .map((file) => join('__test__', file));
  if (files.length === 0) {
    console.error('no test file matches');
    return false;
  }
  // One file at a time, for a person who waits for the first failure.
  const args = ['--test', '--test-reporter=spec', '--test-concurrency=1', `--test-timeout=${limits.FILE}`];
  const env = { ...process.env };
  delete env.NODE_TEST_CONTEXT;
  delete env.NODE_HEAPDUMP_OPTIONS;
  delete env.REPEATED_TESTS;
  const list = process.env.REPEATED_TESTS;
  if (!list) return (await run(node, [...args, ...files], { env })).code === 0;
  const version = (await must(node, ['--version'])).trim();
  // In one piece: another file runs beside it.
  const passes = async (file) => {
    const { code, output } = await run(node, [...args, file], { env, capture: true });
    console.log(`${file}\n${output}`);
    return code === 0;
  };
  return runAndRepeat(files, passes, list, `Node.js ${version}`);
}

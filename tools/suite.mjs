// The tests of __test__/ on one Node: used by npm test and by npm run test:matrix.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';

import { root, run } from '../harness/run.mjs';

/** A file that has not ended by then has failed; the slowest takes about a tenth of it. */
const FILE_LIMIT_MS = 600_000;

/**
 * Runs every `__test__/*.test.mjs` with the given Node and shows the report.
 * @returns {Promise<boolean>} whether all passed
 */
export async function runSuite(node, only = []) {
  const files = readdirSync(join(root, '__test__'))
    .filter((file) => file.endsWith('.test.mjs'))
    .filter((file) => only.length === 0 || only.some((part) => file.includes(part)))
    .map((file) => join('__test__', file));
  if (files.length === 0) {
    console.error('no test file matches');
    return false;
  }
  // One file at a time: many of them measure pauses or load both cores by themselves.
  const args = ['--test', '--test-reporter=spec', '--test-concurrency=1', `--test-timeout=${FILE_LIMIT_MS}`];
  const env = { ...process.env };
  delete env.NODE_TEST_CONTEXT;
  delete env.NODE_HEAPDUMP_OPTIONS;
  const { code } = await run(node, [...args, ...files], { env });
  return code === 0;
}

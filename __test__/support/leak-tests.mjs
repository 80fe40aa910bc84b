// A script in the place of a test file, for expectNoLeak in a process of its own.

import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import limits from '../../harness/limits.cjs';

const tests = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Runs CommonJS in __test__/; resolves with what it printed. */
export function runScript(script, more) {
  const env = { ...process.env, ...more };
  for (const variable of ['NODE_HEAPDUMP_OPTIONS', 'NODE_TEST_CONTEXT']) delete env[variable];
  const options = { cwd: tests, env, encoding: 'utf8', timeout: limits.PROGRAM };
  return promisify(execFile)(process.execPath, ['-e', script], options);
}

// DuckDB, as `heapdump-rs sql` finds it: beside where the command runs.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { must, root } from '../../harness/run.mjs';

const DUCKDB = '@duckdb/node-api@1.5.6-r.1';

/** The directory that it is installed in. */
export async function installDuckDb() {
  const home = join(root, '.cache/data');
  mkdirSync(home, { recursive: true });
  if (!existsSync(join(home, 'node_modules/@duckdb/node-api'))) {
    writeFileSync(join(home, 'package.json'), '{ "private": true }\n');
    await must('npm', ['install', '--prefix', home, '--no-audit', '--no-fund', '--silent', DUCKDB]);
  }
  return home;
}

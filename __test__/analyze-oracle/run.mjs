// Compares the analyzer with Chrome DevTools' own worker on snapshots of Node 18 to 26, node for node:
// `node __test__/analyze-oracle/run.mjs [--quick] [VERSION...]`. Fetches what it needs from the npm registry.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { devtoolsWorker } from '../../harness/devtools/bundle.mjs';
import limits from '../../harness/limits.cjs';
import { fetchNode } from '../../harness/nodes.mjs';
import { analyzerBinary } from '../support/analyzer.mjs';
import { oddFiles } from './odd.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const cache = path.resolve(here, '../../.cache/analyze-oracle');
const quick = process.argv.includes('--quick');
const all = [
  'plain', 'classes', 'closures', 'weak', 'typed', 'strings', 'external', 'contexts', 'arrays', 'maps',
  'misc', 'plain+internals', 'plain+numbers', 'weak+internals', 'classes+traces',
];
// What differs most from the rest, for every change; all of them when the analyzer itself is worked on.
const kinds = quick ? ['classes', 'weak', 'contexts', 'plain+internals', 'classes+traces'] : all;
const named = process.argv.slice(2).filter((argument) => argument !== '--quick');
const versions = named.length ? named : ['18', '20', '22', '24', '26'];

fs.mkdirSync(cache, { recursive: true });
await devtoolsWorker();
const binary = analyzerBinary();
let passed = 0;
const failed = [];
for (const [name, file] of oddFiles(cache)) {
  check(`odd: ${name}`, [file]);
  fs.rmSync(file);
}
for (const version of versions) {
  const node = await fetchNode(version);
  for (const kind of kinds) {
    const files = [1, 2].map((n) => path.join(cache, `${version}-${kind}-${n}.heapsnapshot`));
    run(node, [path.join(here, 'make.cjs'), kind, ...files]);
    check(`Node ${version}, ${kind}: nodes, classes, statistics`, [files[1]]);
    check(`Node ${version}, ${kind}: difference`, files);
    for (const file of files) fs.rmSync(file, { force: true });
  }
}
for (const name of failed) process.stdout.write(`failed: ${name}\n`);
process.stdout.write(`${passed} passed, ${failed.length} failed\n`);
process.exit(failed.length ? 1 : 0);

function check(name, files) {
  const args = ['--max-old-space-size=3000', path.join(here, 'check.mjs'), binary, ...files];
  const result = run(process.execPath, args, 'inherit');
  if (result.status === 0) passed++;
  else failed.push(name);
}

function run(command, args, stdout = 'ignore') {
  return spawnSync(command, args, { stdio: ['ignore', stdout, 'inherit'], timeout: limits.WAIT });
}

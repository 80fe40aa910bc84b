// examples/leak-tests with the real runners: each passes, and fails with the leak's words once a line of the subject is gone.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import limits from '../../harness/limits.cjs';
import { fetchNode } from '../../harness/nodes.mjs';
import { root } from '../../harness/run.mjs';

const cache = path.join(root, '.cache/leak-tests');
const app = path.join(cache, 'app');
const PACKAGES = { private: true, dependencies: { jest: '30', mocha: '12', vitest: '5' } };
const bin = (name) => path.join(cache, 'node_modules', name);

const RUNNERS = {
  'node:test': ['--test', '--test-reporter=spec', 'node.test.mjs'],
  Jest: [bin('jest/bin/jest.js'), '--rootDir', '.', '--testMatch', '**/jest.test.cjs'],
  'Jest, in band': [bin('jest/bin/jest.js'), '--rootDir', '.', '--testMatch', '**/jest.test.cjs', '--runInBand'],
  Mocha: [bin('mocha/bin/mocha.js'), 'mocha.spec.cjs'],
  'Vitest, forks': [bin('vitest/vitest.mjs'), 'run', 'vitest.test.mjs', '--pool', 'forks'],
  'Vitest, threads': [bin('vitest/vitest.mjs'), 'run', 'vitest.test.mjs', '--pool', 'threads'],
};
/** What Vitest says of itself. */
const FROM = { Vitest: 22 };

/** Returns how many failed. */
export async function tryRunners(versions) {
  install();
  let failed = 0;
  const rows = [];
  for (const version of versions) {
    const node = await fetchNode(version);
    for (const [name, command] of Object.entries(RUNNERS)) {
      if (Number.parseInt(version, 10) < (FROM[name.split(',')[0]] ?? 0)) continue;
      prepare(false);
      const fine = run(node, command);
      prepare(true);
      const leaking = run(node, command, { GITHUB_ACTIONS: 'true', GITHUB_WORKSPACE: app });
      const wanted = [/LeakError|ERR_HEAPDUMP_LEAK|Each run leaves/, /prices → EventEmitter/, /Remove each listener/, /^::error file=prices\.cjs,line=\d+/m];
      const missing = wanted.filter((pattern) => !pattern.test(leaking.output));
      const isRight = fine.status === 0 && leaking.status !== 0 && missing.length === 0;
      if (!isRight) failed++;
      process.stdout.write(`${isRight ? 'ok    ' : 'failed'} Node ${version}, ${name}: ${fine.seconds.toFixed(1)} s, with a leak ${leaking.seconds.toFixed(1)} s\n`);
      if (fine.status !== 0) process.stdout.write(`${fine.output}\n`);
      else if (!isRight) process.stdout.write(`       no ${missing.join(', ')}\n${leaking.output}\n`);
      if (name === 'Jest, in band') rows.push([version, ...cost(node, command)]);
    }
  }
  process.stdout.write('\n| Jest, in band, s | without expectNoLeak | with it | --detectLeaks without it |\n|---|---|---|---|\n');
  for (const row of rows) process.stdout.write(`| ${row.join(' | ')} |\n`);
  return failed;
}

/** What the same test costs without the call, with it, and with Jest's own way to look for leaks. */
function cost(node, command) {
  prepare(false);
  const file = path.join(app, 'jest.test.cjs');
  const text = fs.readFileSync(file, 'utf8');
  const median = (more = []) => [1, 2, 3].map(() => run(node, [...command, ...more]).seconds).sort((a, b) => a - b)[1].toFixed(1);
  const withIt = median();
  fs.writeFileSync(file, text.replace('await expectNoLeak(() => {', 'await (async (work) => work())(() => {'));
  return [median(), withIt, median(['--detectLeaks'])];
}

function run(node, command, more = {}) {
  const env = { ...process.env, FORCE_COLOR: '0', CI: 'true', GITHUB_ACTIONS: '', ...more };
  for (const variable of ['NODE_HEAPDUMP_OPTIONS', 'NODE_TEST_CONTEXT', 'NODE_OPTIONS']) delete env[variable];
  const start = performance.now();
  const { status, stdout, stderr } = spawnSync(node, command, { cwd: app, env, encoding: 'utf8', timeout: limits.PROGRAM });
  return { status, output: stdout + stderr, seconds: (performance.now() - start) / 1000 };
}

/** The examples beside an installed package: links lead out of node_modules, and a runner would compile what is there. */
function prepare(leaks) {
  fs.rmSync(app, { recursive: true, force: true });
  fs.cpSync(path.join(root, 'examples/leak-tests'), app, { recursive: true });
  const installed = path.join(app, 'node_modules/heapdump-rs');
  fs.mkdirSync(installed, { recursive: true });
  for (const name of ['index.js', 'index.d.ts', 'lib', 'package.json', ...fs.readdirSync(root).filter((name) => name.endsWith('.node'))]) {
    fs.cpSync(path.join(root, name), path.join(installed, name), { recursive: true });
  }
  // Without it Jest looks in the directories above.
  fs.writeFileSync(path.join(app, 'package.json'), '{ "private": true }');
  if (!leaks) return;
  const subject = path.join(app, 'prices.cjs');
  const text = fs.readFileSync(subject, 'utf8');
  fs.writeFileSync(subject, text.replace("    prices.off('price', onPrice);\n", ''));
}

function install() {
  fs.mkdirSync(cache, { recursive: true });
  const list = path.join(cache, 'package.json');
  const wanted = JSON.stringify(PACKAGES);
  if (fs.existsSync(bin('vitest')) && fs.readFileSync(list, 'utf8') === wanted) return;
  fs.writeFileSync(list, wanted);
  execFileSync('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'], { cwd: cache, stdio: 'inherit' });
}

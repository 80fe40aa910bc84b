// Proves that find-leaks names the leak, and is silent when there is none, on servers that leak in the
// guide's four ways: `node __test__/analyze-leaks/run.mjs [VERSION...]`; `corpus [VERSION...] [NAME...]` is many more leaks.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import limits from '../../harness/limits.cjs';
import { fetchNode } from '../../harness/nodes.mjs';
import { analyzerBinary } from '../support/analyzer.mjs';
import { runCorpus } from './corpus/run.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const cache = path.resolve(here, '../../.cache/analyze-leaks');
const [command, ...rest] = process.argv.slice(2);
if (command === 'corpus') process.exit((await runCorpus(analyzerBinary(), rest)) > 0 ? 1 : 0);
const versions = command ? [command, ...rest] : ['20', '22', '24', '26'];
const REQUESTS = 200;

// How the first suspect's path must begin: the script and the variable, as somebody would look for them.
const kinds = {
  globalCache: /^server\.cjs: cache → /,
  eventListeners: /^server\.cjs: dataStream → /,
  connections: /^server\.cjs: pool → /,
  timers: /^server\.cjs: userSessions → /,
};

fs.mkdirSync(cache, { recursive: true });
const binary = analyzerBinary();
let passed = 0;
let failed = 0;
for (const version of versions) {
  for (const [kind, expected] of Object.entries(kinds)) {
    for (const variant of ['leak', 'repaired']) {
      const files = await snapshots(await fetchNode(version), kind, variant);
      // Three snapshots and two; with ids, and as if the ids could not be compared.
      for (const count of [3, 2]) {
        for (const match of ['auto', 'class']) {
          const name = `Node ${version}, ${kind}, ${variant}, ${count} snapshots, match ${match}`;
          verify(name, variant, expected, find(files.slice(0, count), match));
        }
      }
      if (!process.env.KEEP) for (const file of files) fs.rmSync(file);
    }
  }
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exit(failed ? 1 : 0);

function verify(name, variant, expected, report) {
  const [first] = report.suspects;
  const fine = variant === 'leak'
    ? first !== undefined && expected.test(first.path.text)
    : first === undefined;
  if (fine) passed++;
  else {
    failed++;
    process.stdout.write(`failed: ${name}\n`);
    for (const suspect of report.suspects.slice(0, 3)) process.stdout.write(`  ${suspect.sentence}\n`);
  }
  if (process.env.VERBOSE) process.stdout.write(`${name}: ${first?.sentence ?? 'no suspect'}\n`);
}

function find(files, match) {
  const options = ['--baseline', '--target', '--final'];
  const args = files.flatMap((file, index) => [options[index], file]);
  const all = ['find-leaks', ...args, '--match', match, '--json'];
  return JSON.parse(execFileSync(binary, all, { encoding: 'utf8', maxBuffer: 1 << 28 }));
}

async function snapshots(node, kind, variant) {
  const args = [path.join(here, 'server.cjs'), kind, variant];
  const child = spawn(node, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const port = await new Promise((resolve, reject) => {
      child.stdout.once('data', (data) => resolve(Number(data)));
      child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
    });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
    const files = [1, 2, 3].map((n) => path.join(cache, `${kind}-${variant}-${n}.heapsnapshot`));
    for (const file of files) {
      for (let i = 0; i < REQUESTS; i++) await get(agent, port, '/');
      await get(agent, port, `/snapshot?file=${encodeURIComponent(file)}`);
    }
    agent.destroy();
    return files;
  } finally {
    child.kill('SIGKILL');
  }
}

function get(agent, port, url) {
  return new Promise((resolve, reject) => {
    const request = http.get({ agent, port, host: '127.0.0.1', path: url, timeout: limits.WAIT }, (response) => {
      response.resume();
      response.on('end', resolve);
    });
    request.on('error', reject);
  });
}

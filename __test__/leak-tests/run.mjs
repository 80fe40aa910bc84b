// npm run test:leak-tests: `heapdump-rs/test` with both cores busy. 200 times what leaves nothing, which must be no leak, and 60 leaks
// of 12 kinds, which must be named, over Node.js 20, 22, 24 and 26. `-- 24` picks versions, other words pick works, `--quick` is one
// of each. Then examples/leak-tests with the real node:test, Jest, Vitest and Mocha, and what a test costs (`-- runners` is these
// alone).
import { spawn } from 'node:child_process';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import limits from '../../harness/limits.cjs';
import { NODES, fetchNode } from '../../harness/nodes.mjs';
import { tryRunners } from './runners.mjs';
import works from './works.cjs';

const CLEAN = 200;
const LEAKS = 60;
const here = path.dirname(fileURLToPath(import.meta.url));
const words = process.argv.slice(2);
const isQuick = words.includes('--quick');
const majors = words.filter((word) => /^\d+$/.test(word));
const picks = words.filter((word) => /^[a-z]/i.test(word) && word !== 'runners');
const versions = Object.keys(NODES).filter((version) => majors.length === 0 || majors.includes(version.split('.')[0]));

let failed = 0;
if (!words.includes('runners')) await tryWorks();
if (picks.length === 0) failed += await tryRunners(versions);
process.exit(failed > 0 ? 1 : 0);

async function tryWorks() {
  const isPicked = ([name]) => picks.length === 0 || picks.some((pick) => name.includes(pick));
  const leaks = Object.keys(works.leaks).map((name) => [name, 'leak']).filter(isPicked);
  const clean = [
    ...Object.keys(works.leaks).map((name) => [name, 'repaired']),
    ...Object.keys(works.clean).map((name) => [name, 'clean']),
  ].filter(isPicked);
  const jobs = [...dealt(leaks, isQuick ? leaks.length : LEAKS), ...dealt(clean, isQuick ? clean.length : CLEAN)];
  const results = await withBusyCores(() => inPairs(jobs));
  summarise(results);
}

/** So many of a list, again from its beginning after its end, each on the next version. */
function dealt(list, count) {
  return Array.from({ length: list.length > 0 ? count : 0 }, (_, index) => {
    const round = Math.floor(index / list.length);
    return { work: list[index % list.length], version: versions[(index + round) % versions.length] };
  });
}

async function inPairs(jobs) {
  const left = [...jobs];
  const results = [];
  const worker = async () => {
    for (let job = left.shift(); job !== undefined; job = left.shift()) results.push(judge(job, await runOne(job)));
  };
  await Promise.all([worker(), worker()]);
  return results;
}

async function runOne({ work: [name, variant], version }) {
  const node = await fetchNode(version);
  const env = { ...process.env };
  for (const variable of ['NODE_HEAPDUMP_OPTIONS', 'NODE_TEST_CONTEXT', 'GITHUB_ACTIONS']) delete env[variable];
  const stdio = ['ignore', 'ignore', 'inherit', 'pipe'];
  const child = spawn(node, [path.join(here, 'child.cjs'), name, variant], { env, stdio, timeout: limits.WAIT });
  let text = '';
  for await (const part of child.stdio[3]) text += part;
  return text === '' ? { message: 'it ended without an answer' } : JSON.parse(text);
}

function judge({ work: [name, variant], version }, { code, message, seconds = NaN }) {
  const isLeak = variant === 'leak';
  const isRight = isLeak ? code === 'ERR_HEAPDUMP_LEAK' && works.leaks[name][2].test(message) : message === undefined;
  const about = `Node ${version}, ${name}, ${variant}, ${seconds.toFixed(1)} s`;
  if (!isRight) failed++;
  process.stdout.write(`${isRight ? 'ok    ' : 'failed'} ${about}\n${isRight ? '' : `       ${message ?? 'not seen'}\n`}`);
  return { isLeak, isRight, seconds };
}

function summarise(results) {
  const count = (is) => results.filter(is).length;
  const median = (list) => list.map(({ seconds }) => seconds).sort((a, b) => a - b)[Math.floor(list.length / 2)]?.toFixed(1) ?? '–';
  const [leaks, clean] = [true, false].map((isLeak) => results.filter((result) => result.isLeak === isLeak));
  process.stdout.write('\n| leaks | missed or not named | clean | false alarms | s, leak | s, clean |\n|---|---|---|---|---|---|\n');
  const row = [leaks.length, count(({ isLeak, isRight }) => isLeak && !isRight), clean.length, count(({ isLeak, isRight }) => !isLeak && !isRight)];
  process.stdout.write(`| ${[...row, median(leaks), median(clean)].join(' | ')} |\n`);
}

/** Two loops beside the two tests; they end with this process, however it ends. */
async function withBusyCores(body) {
  const loop = 'const parent = process.ppid; while (process.ppid === parent);';
  const loops = [0, 1].map(() => spawn(process.execPath, ['-e', loop], { stdio: 'ignore' }));
  try {
    return await body();
  } finally {
    for (const loop of loops) loop.kill('SIGKILL');
  }
}

// npm run test:leaks -- corpus: programs that leak, each with a repaired twin, half of them with real packages. The first
// suspect must name the cause, and of the twin there must be none. Each runs on Node 20 and 24, in process and by fork.
// `-- corpus 24 fork p-` picks a version, a way and names. The packages are installed into .cache/analyze-leaks.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import limits from '../../../harness/limits.cjs';
import { fetchNode } from '../../../harness/nodes.mjs';
import { root } from '../../../harness/run.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const cases = path.join(here, 'cases');
const cache = path.join(root, '.cache/analyze-leaks/corpus');
const MODES = ['v8', 'fork'];

/** Runs the picked ones with the analyzer's program, and returns how many failed. KEEP leaves the snapshots, VERBOSE says all. */
export async function runCorpus(binary, picked) {
  const versions = picked.filter((part) => /^\d+$/.test(part));
  const modes = MODES.filter((mode) => !MODES.some((one) => picked.includes(one)) || picked.includes(mode));
  const names = picked.filter((part) => !versions.includes(part) && !MODES.includes(part));
  const files = fs.readdirSync(cases).filter((file) => names.length === 0 || names.some((name) => file.includes(name)));
  installPackages();
  const rows = [];
  for (const version of versions.length > 0 ? versions : ['20', '24']) {
    const node = await fetchNode(version);
    for (const file of files) {
      for (const mode of modes) {
        const about = `Node ${version}, ${mode}, ${file}`;
        rows.push(tryOne(about, (variant) => answer(binary, node, file, variant, mode)));
      }
    }
  }
  return summarise(rows);
}

function tryOne(about, find) {
  try {
    return judge(about, find);
  } catch (error) {
    process.stdout.write(`failed ${about}\n       ${error.message}\n`);
    return { place: -1 };
  }
}

function judge(about, find) {
  const { expect, suspects } = find('leak');
  const place = suspects.findIndex(({ sentence }) => expect.test(sentence));
  const [alarm] = find('repaired').suspects;
  const right = place === 0;
  process.stdout.write(`${right && !alarm ? 'ok    ' : 'failed'} ${about}\n`);
  if (!right) {
    process.stdout.write(`       ${place < 0 ? 'not named' : `named as number ${place + 1}`}; expected ${expect}\n`);
    for (const { sentence } of suspects.slice(0, 3)) process.stdout.write(`       leak: ${sentence}\n`);
  } else if (process.env.VERBOSE) process.stdout.write(`       ${suspects[0].sentence}\n`);
  if (alarm) process.stdout.write(`       repaired: ${alarm.sentence}\n`);
  return { place, alarm };
}

function summarise(rows) {
  const count = (is) => rows.filter(is).length;
  const first = count(({ place }) => place === 0);
  const later = count(({ place }) => place > 0);
  const alarms = count(({ alarm }) => alarm);
  process.stdout.write(`\n| leaks | named first | named later | not named | false alarms |\n|---|---|---|---|---|\n`);
  process.stdout.write(`| ${rows.length} | ${first} | ${later} | ${rows.length - first - later} | ${alarms} |\n`);
  return count(({ place, alarm }) => place !== 0 || alarm);
}

function answer(binary, node, file, variant, mode) {
  const directory = path.join(cache, process.env.KEEP ? `${file}-${variant}-${mode}` : `snapshots-${process.pid}`);
  fs.rmSync(directory, { recursive: true, force: true });
  fs.mkdirSync(directory, { recursive: true });
  const env = { ...process.env, NODE_PATH: path.join(cache, 'node_modules') };
  delete env.NODE_HEAPDUMP_OPTIONS;
  const child = [path.join(here, 'child.cjs'), path.join(cases, file), variant, directory, mode];
  const stdio = ['ignore', 'pipe', 'inherit'];
  const expect = new RegExp(execFileSync(node, child, { env, stdio, encoding: 'utf8', timeout: limits.PROGRAM }));
  const [a, b, c] = ['a', 'b', 'c'].map((name) => path.join(directory, `${name}.heapsnapshot`));
  const args = ['find-leaks', '--baseline', a, '--target', b, '--final', c, '--json'];
  const { suspects } = JSON.parse(execFileSync(binary, args, { encoding: 'utf8', maxBuffer: 1 << 28 }));
  if (!process.env.KEEP) fs.rmSync(directory, { recursive: true });
  return { expect, suspects };
}

function installPackages() {
  fs.mkdirSync(cache, { recursive: true });
  const wanted = fs.readFileSync(path.join(here, 'package.json'), 'utf8');
  const list = path.join(cache, 'package.json');
  const installed = path.join(cache, 'node_modules/ws');
  if (fs.existsSync(installed) && fs.readFileSync(list, 'utf8') === wanted) return;
  fs.writeFileSync(list, wanted);
  const args = ['install', '--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts', '--loglevel=error'];
  execFileSync('npm', args, { cwd: cache, stdio: 'inherit' });
}

// heapdump-rs trend: what grows over many snapshots of a real process, and whether a fix helped.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import limits from '../harness/limits.cjs';
import { ROOT } from './support/app.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';

const BIN = path.join(ROOT, 'bin/heapdump-rs.js');
const trend = (...args) => spawnSync(process.execPath, [BIN, 'trend', ...args], { encoding: 'utf8', timeout: limits.WAIT });

const HOUR = 3_600_000;
const START = 1_795_262_584_567;

// In each round 300 sessions stay, unless they are fixed; a cache grows in the first round alone. Named as a monitor would, an
// hour apart.
const SERVER = `
class Session { constructor(i) { this.user = 'user ' + i; this.data = new Array(50).fill(i + 0.5); } }
class Entry { constructor(i) { this.text = 'entry ' + i; } }
const sessions = new Map(), cache = [];
globalThis.keep = () => [sessions, cache];
for (let round = 0; round < 4; round++) {
  for (let i = 0; i < 300; i++) sessions.set(process.argv[2] === 'fixed' ? i : round * 300 + i, new Session(i));
  for (let i = 0; round === 1 && i < 500; i++) cache.push(new Entry(i));
  require('node:v8').writeHeapSnapshot('heap-used-' + (${START} + round * ${HOUR}) + '.heapsnapshot');
}`;

function snapshots(directory, name, kind) {
  fs.mkdirSync(directory.at(name));
  fs.writeFileSync(directory.at(name, 'server.js'), SERVER);
  execFileSync(process.execPath, ['server.js', kind], { cwd: directory.at(name), timeout: limits.WAIT });
  return directory.at(name);
}

test('what grew is told in every step, per step, per hour and per unit of work', (t) => {
  const leaking = snapshots(makeTemporaryDirectory(t), 'leaking', 'leaking');
  const answer = JSON.parse(trend(leaking, '--per', '300', '--json').stdout);
  assert.equal(answer.timesFrom, 'names');
  assert.deepEqual(answer.snapshots.map(({ time }) => time), [0, 3600, 7200, 10800]);
  assert.equal(answer.hours, 3);
  const sessions = answer.groups.find((group) => group.class === 'Session');
  assert.equal(sessions.everyStep, true);
  assert.deepEqual(sessions.counts, [300, 600, 900, 1200]);
  const { total, perStep, perHour, perUnit } = sessions.growth;
  assert.equal(total, sessions.retainedSizes[3] - sessions.retainedSizes[0]);
  assert.deepEqual([perStep, perHour, perUnit], [total / 3, total / 3, total / 900]);
  assert.ok(perUnit > 400 && perUnit < 1000, `${perUnit}`);
  assert.match(sessions.path.text, /server\.js: sessions/);
  const entries = answer.groups.find((group) => group.class === 'Entry');
  assert.deepEqual([entries.everyStep, entries.counts], [false, [0, 500, 500, 500]]);
  assert.ok(answer.groups.indexOf(sessions) < answer.groups.indexOf(entries));
  const { stdout, status } = trend(leaking);
  assert.equal(status, 0);
  assert.match(stdout, /Session held by Map .* a step, .* an hour, in every step\n {3}objects {3}300 -> 600 -> 900 -> 1,200\n/);
});

test('against the same from before a fix: fixed, or exit code 1', (t) => {
  const directory = makeTemporaryDirectory(t);
  const [before, after] = [snapshots(directory, 'before', 'leaking'), snapshots(directory, 'after', 'fixed')];
  const verdictOf = (...args) => {
    const { stdout, status } = trend(...args, '--json');
    const { fixed, verdicts } = JSON.parse(stdout).against;
    return { status, fixed, session: verdicts.find((verdict) => verdict.class === 'Session')?.verdict };
  };
  assert.deepEqual(verdictOf(after, '--against', before), { status: 0, fixed: true, session: 'fixed' });
  assert.deepEqual(verdictOf(before, '--against', before), { status: 1, fixed: false, session: 'same' });
  assert.deepEqual(verdictOf(before, '--against', after), { status: 1, fixed: false, session: 'new' });
  assert.equal(trend(before, '--per', '0').status, 2);
  assert.match(trend(directory.path).stderr, /two snapshots or more are needed, found 0/);
});

// npx heapdump-rs node-snapshot --pid PID --thread NUMBER, --all-threads: isolates of worker_threads, from outside.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import limits from '../harness/limits.cjs';
import { validateSnapshot } from '../harness/validate.mjs';
import { checkSubject, copiesOf, startSubject } from './outside/subject.mjs';
import { runCommand } from './support/command.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { waitFor } from './support/processes.mjs';
import { restoresImages } from './support/restored.mjs';

const PLANTED = { Outside: 'PlantedOutside', Idle: 'PlantedIdle', Busy: 'PlantedBusy', Asleep: 'PlantedAsleep' };

/** A process with three workers, and which thread is whose. */
async function startIsolates(t) {
  const app = await startSubject(t, 'isolates');
  const threads = await waitFor('all workers run', () => {
    const found = [...app.stdout.matchAll(/^thread (\d+) (\w+)$/gm)].map(([, thread, name]) => [name, Number(thread)]);
    return found.length === 3 && Object.fromEntries(found);
  });
  return { app, threads: { Outside: app.pid, ...threads } };
}

/** Whose planted object a snapshot has. */
async function ownerOf(file) {
  const { stringTable } = await validateSnapshot(file, { strings: true });
  return Object.keys(PLANTED).filter((name) => stringTable.includes(PLANTED[name]));
}

/** A busy machine may take long for a stop. */
const take = (t, ...args) => runCommand(t, ['node-snapshot', '--max-stop', `${limits.WAIT / 1000}s`, '--pid', ...args]);

test('the heap of one worker, in its event loop, at work or asleep; it works on', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  const { app, threads } = await startIsolates(t);
  for (const [name, thread] of Object.entries(threads)) {
    const file = directory.at(`${name}.heapsnapshot`);
    const { code, stdout, stderr } = await take(t, app.pid, '--thread', thread, '--json', '--output', file);
    assert.equal(code, 0, `${name}: ${stderr}`);
    assert.deepEqual(JSON.parse(stdout).isolates.sort(), Object.values(threads).sort());
    assert.deepEqual(await ownerOf(file), [name]);
  }
  const { done } = await checkSubject(app);
  await waitFor('it works on', async () => (await checkSubject(app)).done > done);
  assert.deepEqual(copiesOf(app.pid), []);
});

test('all of them, each in a file of its own', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  const { app, threads } = await startIsolates(t);
  const { code, stderr } = await take(t, app.pid, '--all-threads', '--output', directory.at('of-{thread}.heapsnapshot'));
  assert.equal(code, 0, stderr);
  assert.deepEqual(directory.names().sort(), Object.values(threads).map((thread) => `of-${thread}.heapsnapshot`).sort());
  for (const [name, thread] of Object.entries(threads)) assert.deepEqual(await ownerOf(directory.at(`of-${thread}.heapsnapshot`)), [name]);
  await checkSubject(app);
});

test('a thread that runs no JavaScript is refused before anything is done, and the others are named', async (t) => {
  if (!restoresImages(t)) return;
  const directory = makeTemporaryDirectory(t);
  const { app, threads } = await startIsolates(t);
  const isolates = Object.values(threads).map(String);
  const other = fs.readdirSync(`/proc/${app.pid}/task`).find((thread) => !isolates.includes(thread));
  for (const thread of [other, process.pid]) {
    const { code, stderr } = await take(t, app.pid, '--thread', thread, '--output', directory.at('a.heapsnapshot'));
    assert.equal(code, 2);
    assert.match(stderr, new RegExp(`its thread ${thread} runs no JavaScript; these do: [\\d ]*\\b${threads.Busy}\\b.*ERR_HEAPDUMP_OUTSIDE`));
  }
  for (const [more, expected] of [
    [['--thread', app.pid, '--via', 'inspector'], /--thread is taken from outside/],
    [['--all-threads', '--json'], /--all-threads takes all of them/],
    [['--thread', 'main'], /--thread must be/],
  ]) {
    assert.match((await take(t, app.pid, '--output', directory.at('a.heapsnapshot'), ...more)).stderr, expected);
  }
  assert.deepEqual(directory.names(), []);
  await checkSubject(app);
});

// The processes that tests capture from outside, and what must hold of them afterwards.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import { validateSnapshot } from '../../harness/validate.mjs';
import { ROOT, startProgram } from '../support/app.mjs';
import { childrenOf, processInfo, waitFor } from '../support/processes.mjs';

const SUBJECT = path.join(ROOT, '__test__/outside/subject.cjs');

/** Starts a subject (subject.cjs), which has no package loaded. */
export async function startSubject(t, way = 'idle', { megabytes = 0, node = process.execPath, flags = [], ...options } = {}) {
  const command = [node, '--max-old-space-size=512', ...flags, SUBJECT, way, `${megabytes}`];
  const app = startProgram(t, command, { ...options, spawn: { stdio: ['pipe', 'pipe', 'pipe'], ...options.spawn } });
  await app.says(/ready/);
  return app;
}

/** Asks it what went wrong: nothing may have. Gives the work that it has done, and the longest stall since the last time, in ms. */
export async function checkSubject(app) {
  const before = app.stdout.length;
  app.writeInput('\n');
  const [, done, stall] = await waitFor('an answer of the subject', () => {
    if (app.hasEnded) throw new Error(`it has ended\n${app.stdout}${app.stderr}`);
    return /^checked (\d+) ([\d.]+)$/m.exec(app.stdout.slice(before));
  });
  assert.doesNotMatch(app.stdout, /^wrong/m);
  assert.equal(app.stderr, '');
  return { done: Number(done), stall: Number(stall) };
}

/** What the kernel says of it is what it said before: nobody traces it, its signals are blocked as they were. */
export function traces(pid) {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  const value = (name) => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)[1];
  return { tracer: value('TracerPid'), blocked: value('SigBlk'), kept: keptFromChildren(pid) };
}

/** Whether any mapping is kept from children: V8's code is, in some versions. */
const keptFromChildren = (pid) => /^VmFlags:.* dc\b/m.test(fs.readFileSync(`/proc/${pid}/smaps`, 'utf8'));

/** Copies of it by their states: children with its own name that nobody is told of when they end. */
export function copiesOf(pid) {
  const { name } = processInfo(pid);
  return childrenOf(pid)
    .filter((child) => child.name === name && exitSignal(child.pid) === '0')
    .map(({ state }) => state);
}

function exitSignal(pid) {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[35];
  } catch {
    return undefined;
  }
}

/** A whole snapshot with the object that was planted. */
export async function checkSnapshot(file, planted = 'PlantedOutside') {
  const { nodes, stringTable } = await validateSnapshot(file, { strings: true });
  assert.ok(stringTable.includes(planted), 'the planted object is missing');
  return nodes;
}

// What keeps a process that is captured from outside from harm: one deadline for the stop, filters that are known, threads by what they are.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import limits from '../harness/limits.cjs';
import { checkSubject, copiesOf, startSubject, traces } from './outside/subject.mjs';
import { startProgram } from './support/app.mjs';
import { needsRoot, needsTool, refusing } from './support/faults.mjs';
import { childrenOf, waitFor } from './support/processes.mjs';
import { restorer, restoresImages, tracer } from './support/restored.mjs';

/** Who may not suspend a filter. */
const WITHOUT_ADMIN = ['setpriv', '--bounding-set=-sys_admin', '--inh-caps=-sys_admin', '--'];

/** The tracer by itself; its image goes nowhere. */
async function trace(t, pid, { limit = limits.WAIT, via = [], more = [] } = {}) {
  const running = startProgram(t, [...via, tracer(), `${pid}`, '--limit', `${limit}`, ...more], { spawn: { stdio: ['ignore', 'ignore', 'pipe'] } });
  return (await running.ended()).stderr;
}

const factOf = (said, name) => Number(new RegExp(`^is ${name}: (\\d+)$`, 'm').exec(said)?.[1]);

test('one deadline for all of the stop: behind it the process is as it was, and goes on', async (t) => {
  if (!restoresImages(t)) return;
  const app = await startSubject(t, 'compute', { megabytes: 120 });
  const fork = factOf(await trace(t, app.pid), 'fork-us') / 1000;
  const before = { ...traces(app.pid), kept: undefined };
  const limit = Math.max(1, Math.floor(fork / 4));
  const words = new Set();
  // A busy machine may keep its threads from stopping so soon.
  for (let tries = 0; tries < 40 && !words.has('late'); tries++) {
    const said = await trace(t, app.pid, { limit });
    words.add(/^stop (\w+): /m.exec(said)?.[1] ?? said);
    await checkSubject(app);
    assert.deepEqual({ ...traces(app.pid), kept: undefined }, before);
    // Its second stop has the same deadline: a dead copy may be left for the next.
    assert.ok(copiesOf(app.pid).every((state) => state === 'Z'));
  }
  assert.deepEqual([...words].filter((word) => word !== 'slow'), ['late'], `fork ${fork} ms, limit ${limit} ms`);
  assert.match(await trace(t, app.pid), /^is second-stop-us/m);
  assert.deepEqual(copiesOf(app.pid), []);
});

test('as many filters are not the same filters', async (t) => {
  const [theirs, ours] = [refusing(t, 'fork', 1), refusing(t, 'memfd', 1)];
  if (!restoresImages(t) || !theirs || !ours || !needsRoot(t)) return;
  const app = await startSubject(t, 'idle', { via: theirs });
  const via = [...ours, ...WITHOUT_ADMIN];
  assert.match(await trace(t, app.pid, { via }), /^stop filter: /m);
  await checkSubject(app);
});

test('the filter of a container is known to whoever is in it', async (t) => {
  const filter = refusing(t, 'memfd', 1);
  if (!restoresImages(t) || !filter || !needsRoot(t) || !needsTool(t, 'unshare') || !needsTool(t, 'nsenter')) return;
  const container = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc', ...filter];
  const app = await startSubject(t, 'idle', { via: container });
  const [{ pid }] = childrenOf(app.pid);
  const inside = ['nsenter', '--target', `${pid}`, '--pid', '--mount', ...filter, ...WITHOUT_ADMIN];
  assert.match(await trace(t, 1, { via: inside }), /^is second-stop-us/m);
  // From outside of it nothing says that they are the same.
  assert.match(await trace(t, pid, { via: [...filter, ...WITHOUT_ADMIN] }), /^stop filter: /m);
  await checkSubject(app);
});

test('a thread that calls itself as a task of the kernel is stopped with the others', async (t) => {
  if (!restoresImages(t)) return;
  const app = await startSubject(t, 'named');
  let found;
  // V8 and libuv start threads when they need them.
  await waitFor('all threads are counted', async () => {
    const before = fs.readdirSync(`/proc/${app.pid}/task`).length;
    found = factOf(await trace(t, app.pid), 'threads');
    return before > 1 && found === before;
  });
  await checkSubject(app);
});

test('root restores nothing while it has groups that it cannot give up', async (t) => {
  const filter = refusing(t, 'groups', 1);
  if (!restoresImages(t) || !filter || !needsRoot(t)) return;
  for (const [groups, expected] of [['--groups=4242', /^stop \S+: root cannot give up its groups/m], ['--clear-groups', /^stop (?!.*groups)/m]]) {
    const running = startProgram(t, ['setpriv', groups, '--', ...filter, restorer(), '--check'], { spawn: { stdio: ['ignore', 'ignore', 'pipe'] } });
    assert.match((await running.ended()).stderr, expected);
  }
});

// Memory that fills in a second: in a control group of 512 MB, of whichever version the machine has, that is full a moment later a
// monitor's snapshot is whole all the same.

import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { ROOT, startProgram } from './support/app.mjs';
import { readSidecar } from './support/evidence.mjs';
import { makeControlGroup, needsRoot } from './support/faults.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { validateSnapshot } from '../harness/validate.mjs';

const MB = 2 ** 20;
const FILL = 'const k = []; setInterval(() => k.push(Buffer.alloc(20e6, 1)), 20)';

for (const [setting, reason] of [['rss=300MB', 'rss'], ['cgroup=60%', 'cgroup']]) {
  test(`${setting}: a process that is killed a moment later leaves a whole snapshot`, async (t) => {
    if (!needsRoot(t)) return;
    const group = makeControlGroup(t, 'memory', { 'memory.limit_in_bytes': 512 * MB });
    if (group === undefined) return;
    const directory = makeTemporaryDirectory(t);
    const command = [process.execPath, '--require', path.join(ROOT, 'lib/register.js'), '--eval', FILL];
    const app = startProgram(t, command, { cwd: directory.path, via: group.via, env: { NODE_HEAPDUMP_OPTIONS: `${setting},dir=.` } });
    const { signal, stderr } = await app.ended();
    assert.equal(signal, 'SIGKILL', stderr);
    const [snapshot, sidecar, ...more] = directory.names();
    assert.match(snapshot, new RegExp(`^heap-${reason}-\\d+\\.heapsnapshot$`), stderr);
    assert.deepEqual(more, []);
    const said = readSidecar(directory.at(sidecar));
    assert.equal(said.complete, true);
    assert.equal((await validateSnapshot(directory.at(snapshot))).nodes, said.report.nodes);
    assert.match(stderr, /is complete; the event loop stood still for \d+ ms/);
  });
}

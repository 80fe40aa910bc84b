// Core files that this kernel writes of processes that never loaded the package.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { checkSnapshot } from '../../outside/subject.mjs';
import { ROOT, startProgram } from '../../support/app.mjs';
import { runCommand } from '../../support/command.mjs';
import { makeTemporaryDirectory } from '../../support/files.mjs';
import { NODES, makeOutput } from './disk.mjs';

/** Lets a process die in `directory`; the path of its core. */
async function makeCore(t, node, directory, way, flags = []) {
  const app = startProgram(t, [node, ...flags, path.join(ROOT, '__test__/cores/subject.cjs'), way], { cwd: directory });
  const { signal, stderr } = await app.ended();
  assert.ok(['SIGABRT', 'SIGTRAP', 'SIGILL'].includes(signal), `${signal}: ${stderr}`);
  return path.join(directory, fs.readdirSync(directory).find((name) => name.startsWith('core')));
}

for (const { major, node } of NODES) {
  test(`Node.js ${major}, abort: its core file becomes a whole snapshot`, async (t) => {
    const directory = makeTemporaryDirectory(t);
    const core = await makeCore(t, node, directory.path, 'abort');
    const { code, stderr } = await runCommand(t, ['node-snapshot', '--core', core, '--node', node, '--output', directory.at('a.heapsnapshot')]);
    assert.equal(code, 0, stderr);
    await checkSnapshot(directory.at('a.heapsnapshot'), 'PlantedInCore');
  });

  // The other kernel makes a snapshot of it: where a processor is emulated, a full heap takes more of its time than the command allows.
  test(`Node.js ${major}, out of memory: it leaves a core file`, async (t) => {
    await makeCore(t, node, makeOutput(major, 'core out of memory'), 'objects', ['--max-old-space-size=40']);
  });
}

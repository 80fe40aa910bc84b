// What is left beside an automatic snapshot.

import assert from 'node:assert/strict';
import fs from 'node:fs';

import { validateSnapshot } from '../../harness/validate.mjs';

/** A sidecar's contents. */
export const readSidecar = (file) => JSON.parse(fs.readFileSync(file, 'utf8'));

/**
 * The sidecar of the one dump in `directory`. It says the truth: a whole snapshot lies beside it, or it names the error and
 * nothing does. Which of the two, is for the tests of the limit itself.
 */
export async function evidenceAtTheLimit(directory) {
  const names = directory.names();
  const [sidecar] = names.filter((name) => /^heap-oom-\d+\.json$/.test(name));
  assert.ok(sidecar, `a sidecar among ${names.join()}`);
  const said = readSidecar(directory.at(sidecar));
  assert.equal(said.reason, 'oom');
  const snapshots = names.filter((name) => /^heap-oom-\d+\.heapsnapshot$/.test(name));
  assert.deepEqual(snapshots, said.complete ? [said.snapshot] : []);
  if (said.complete) assert.equal((await validateSnapshot(directory.at(said.snapshot))).nodes, said.report.nodes);
  else assert.match(said.error.code, /^ERR_HEAPDUMP_/);
  return said;
}

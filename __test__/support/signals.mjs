// Signals that ask for a dump, and the files that answer them.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';

import { validateSnapshot } from '../../harness/validate.mjs';
import { isSnapshotName } from './files.mjs';
import { snapshotChild, waitFor } from './processes.mjs';

const { readFacts } = createRequire(import.meta.url)('../../lib/cli/facts.js');

/** How many snapshots a process has accepted, whether they are complete or not: files have no names before. */
export const accepted = (app) => readFacts(app.pid)?.snapshots.length ?? 0;

/** Signals within a second of one another are one request (`ONE_REQUEST` of src/signal.rs): after this it is another. */
export const nextRequest = () => delay(1_100);

/** Waits until exactly `count` whole snapshots are there and no child works. */
export async function wholeSnapshots(app, directory, count) {
  const names = await waitFor(`${count} snapshots`, () => {
    const found = directory.names();
    return found.length >= count && found.every(isSnapshotName) && !snapshotChild(app.pid) && found;
  });
  assert.equal(names.length, count, names.join());
  for (const name of names) assert.ok((await validateSnapshot(directory.at(name))).nodes > 10_000);
  return names;
}

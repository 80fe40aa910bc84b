// Runs a case and takes three snapshots with load between them: `node child.cjs CASE leak|repaired DIRECTORY v8|fork`.
'use strict';
const path = require('node:path');
const process = require('node:process');
const v8 = require('node:v8');

const [file, variant, directory, mode] = process.argv.slice(2);
const STEPS = 300;

async function main() {
  const subject = file.endsWith('.mjs') ? await import(file) : require(file);
  // What the first suspect must say.
  process.stdout.write(subject.expect.source);
  const steps = subject.steps ?? STEPS;
  let done = 0;
  const load = async (count) => {
    for (let i = 0; i < count; i++) {
      await subject[variant](done++);
      if (i % 50 === 0) await new Promise(setImmediate);
    }
  };
  await subject.setup?.();
  await load(subject.warmup ?? Math.ceil(steps / 2));
  for (const name of ['a', 'b', 'c']) {
    if (name !== 'a') await load(steps);
    // What has been closed says so in a later turn of the loop.
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    const snapshot = path.join(directory, `${name}.heapsnapshot`);
    if (mode === 'fork') await require('../../../lib/promises.js').writeSnapshot(snapshot, { mode: 'fork' });
    else v8.writeHeapSnapshot(snapshot);
  }
  process.exit(0);
}

main();

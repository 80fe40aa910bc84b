// @datadog/pprof's `monitorOutOfMemory`, which dd-trace's profiler turns on: a callback at V8's heap limit like ours. Both leave
// what they know, whichever came first.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { validateSnapshot } from '../../harness/validate.mjs';
import { makeTemporaryDirectory } from '../support/files.mjs';
import { startLeak } from '../support/limit.mjs';

const PPROF = `${process.env.NEIGHBOURS}/node_modules/@datadog/pprof`;

// What dd-trace sets by itself, and what pprof recommends.
const EXTENSIONS = { none: { extension: 0, extensions: 0 }, auto: { extension: 'auto', extensions: 1 } };

for (const order of ['oom pprof', 'pprof oom', 'monitor pprof', 'pprof monitor', 'monitor node pprof', 'pprof node monitor']) {
  for (const [name, settings] of Object.entries(EXTENSIONS)) {
    for (const inWorker of [false, true]) {
      test(`${order}, extension: ${name}${inWorker ? ', in a worker' : ''}`, async (t) => {
        const directory = makeTemporaryDirectory(t);
        const app = startLeak(t, directory, { order, pprof: PPROF, inWorker, ...settings });
        if (inWorker) assert.equal(await app.result(), 'ERR_WORKER_OUT_OF_MEMORY');
        else await app.ended();

        const isOurs = (file) => /^(evidence|heap-oom-\d+)\.heapsnapshot$/.test(file);
        const ours = directory.names().find(isOurs);
        assert.ok(ours, `${directory.names().join()}\n${app.stderr}`);
        await validateSnapshot(directory.at(ours));
        assert.ok(fs.readFileSync(directory.at('before'), 'utf8').split('\n').includes(ours), 'ours was complete before pprof was asked');
        assert.equal(typeof JSON.parse(fs.readFileSync(directory.at('profile'), 'utf8')).children, 'object');
      });
    }
  }
}

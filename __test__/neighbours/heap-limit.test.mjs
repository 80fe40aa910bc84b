// @datadog/pprof's `monitorOutOfMemory`, which dd-trace's profiler turns on: a callback at V8's heap limit like ours. Both leave
// what they know, whichever came first.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { validateSnapshot } from '../../harness/validate.mjs';
import { startApp } from '../support/app.mjs';
import { makeTemporaryDirectory } from '../support/files.mjs';

const PPROF = `${process.env.NEIGHBOURS}/node_modules/@datadog/pprof`;

const leak = ({ args, once }) => {
  const body = ({ args }) => {
    const arm = {
      oom: () => require('../../lib/oom.js')({ path: 'evidence', atLimit: 'exit' }),
      monitor: () => require('../../lib/monitor.js').monitor({ oom: 'wait', dir: '.' }),
      node: () => require('node:v8').setHeapSnapshotNearHeapLimit(1),
      pprof() {
        const { heap } = require(args.pprof);
        heap.start(512 * 1024, 64);
        heap.monitorOutOfMemory(args.extension, args.extensions, false, ['sh', '-c', 'ls *.heapsnapshot > before; cp "$1" profile', 'sh']);
      },
    };
    for (const who of args.order.split(' ')) arm[who]();
    const kept = (globalThis.kept = []);
    // Node.js 26 does not end a worker that allocates nothing but arrays of numbers.
    const one = args.inWorker ? (n) => ({ a: n, b: { c: n } }) : (n) => new Array(1000).fill(n + 0.5);
    for (;;) kept.push(one(kept.length));
  };
  if (!args.inWorker) return body({ args });
  const { Worker } = require('node:worker_threads');
  const thread = new Worker(process.argv[1], { workerData: { source: body.toString(), args }, resourceLimits: { maxOldGenerationSizeMb: 32 } });
  return once(thread, 'error').then(({ code }) => code);
};

// What dd-trace sets by itself, and what pprof recommends.
const EXTENSIONS = { none: { extension: 0, extensions: 0 }, auto: { extension: 'auto', extensions: 1 } };

for (const order of ['oom pprof', 'pprof oom', 'monitor pprof', 'pprof monitor', 'monitor node pprof', 'pprof node monitor']) {
  for (const [name, settings] of Object.entries(EXTENSIONS)) {
    for (const inWorker of [false, true]) {
      test(`${order}, extension: ${name}${inWorker ? ', in a worker' : ''}`, async (t) => {
        const directory = makeTemporaryDirectory(t);
        const args = { order, pprof: PPROF, inWorker, ...settings };
        // V8's flag would win over the worker's own limit.
        const nodeOptions = [`--max-old-space-size=${inWorker ? 0 : 32}`];
        const app = startApp(t, leak, { cwd: directory.path, args, nodeOptions });
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

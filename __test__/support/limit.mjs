// A leak that runs into V8's limit with others there beside this package.

import { startApp } from './app.mjs';

/** Arms what `args.order` names, in that order, and leaks for ever: in this thread, or in a worker of it. */
const leak = ({ args, once }) => {
  const body = ({ args }) => {
    const arm = {
      oom: () => require('../../lib/oom.js')({ path: 'evidence', atLimit: args.atLimit ?? 'exit' }),
      monitor: () => require('../../lib/monitor.js').monitor({ oom: 'wait', dir: '.' }),
      node: () => require('node:v8').setHeapSnapshotNearHeapLimit(1),
      addon() {
        try {
          process.dlopen({ exports: {} }, args.library);
        } catch {
          // It is no addon, and stays loaded all the same (nodelete).
        }
      },
      pprof() {
        const { heap } = require(args.pprof);
        heap.start(512 * 1024, 64);
        heap.monitorOutOfMemory(args.extension, args.extensions, false, ['sh', '-c', 'ls *.heapsnapshot > before; cp "$1" profile', 'sh']);
      },
    };
    for (const who of args.order.split(' ')) arm[who]();
    const kept = (globalThis.kept = []);
    const array = (length) => (n) => new Array(length).fill(n + 0.5);
    // Node.js 26 does not end a worker that allocates nothing but small arrays of numbers.
    const one = args.length ? array(args.length) : args.inWorker ? (n) => ({ a: n, b: { c: n } }) : array(1000);
    for (;;) kept.push(one(kept.length));
  };
  if (!args.inWorker) return body({ args });
  const { Worker } = require('node:worker_threads');
  const thread = new Worker(process.argv[1], { workerData: { source: body.toString(), args }, resourceLimits: { maxOldGenerationSizeMb: 32 } });
  return once(thread, 'error').then(({ code }) => code);
};

/** Starts it in `directory`, with a limit of 32 MB. */
export function startLeak(t, directory, args, { nodeOptions = [], ...options } = {}) {
  // V8's flag would win over the worker's own limit.
  const limit = `--max-old-space-size=${args.inWorker ? 0 : 32}`;
  return startApp(t, leak, { cwd: directory.path, args, nodeOptions: [limit, ...nodeOptions], ...options });
}

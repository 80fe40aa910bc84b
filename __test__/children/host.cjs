'use strict';

// Runs a function whose source a test hands over, as the main program or as a worker, and prints what it returns.
//
// The function gets `heapdump` (the package's main entry, loaded when it is first touched: loading installs the signal),
// `promises`, `fill`, `say`, `plain`, `once` and `args`.

const { isMainThread, workerData } = require('node:worker_threads');

const root = '../..';
const { source, args } = isMainThread ? { source: process.argv[2], args: JSON.parse(process.argv[3]) } : workerData;

const tools = {
  args,
  get heapdump() {
    return require(root);
  },
  get promises() {
    return require(`${root}/lib/promises.js`);
  },

  /** Puts about `count` times four objects on the heap, for good. */
  fill(count) {
    const kept = (globalThis.kept ??= []);
    for (let i = 0; i < count; i++) kept.push({ i, text: `text ${i}`, list: [i, { i }] });
  },

  /** A line on standard output, at once. */
  say(...words) {
    require('node:fs').writeSync(1, `${words.map((word) => (typeof word === 'string' ? word : JSON.stringify(word))).join(' ')}\n`);
  },

  /** An error's fields that a test can compare. */
  plain(error) {
    if (!(error instanceof Error)) return error;
    const { name, message, code, errno, syscall, path, cause } = error;
    return { name, message, code, errno, syscall, path, cause: cause && tools.plain(cause) };
  },

  /** Another thread that runs `body`, a function like this one. */
  worker(body, workerArgs = {}, options = {}) {
    const { Worker } = require('node:worker_threads');
    const thread = new Worker(__filename, { ...options, workerData: { source: body.toString(), args: workerArgs } });
    return thread.on('error', (error) => {
      throw error;
    });
  },

  /** The next event of that name. */
  once: (emitter, event) => new Promise((resolve) => emitter.once(event, resolve)),

  /** Keeps the event loop busy with nothing until the process is ended. */
  stayAlive: () => setTimeout(() => {}, require('../../harness/limits.cjs').PROGRAM),
};

const body = new Function('require', `return (${source});`)(require);
const returned = body(tools);
if (isMainThread) {
  let settled = false;
  Promise.resolve(returned)
    .then(print, (error) => {
      process.exitCode = 1;
      tools.say(`result ${JSON.stringify({ threw: tools.plain(error) })}`);
    })
    .finally(() => (settled = true));
  // As Node does for a main module that awaits for ever.
  process.on('exit', (code) => {
    if (!settled && code === 0 && returned instanceof Promise) process.exitCode = 13;
  });
}

function print(value) {
  if (value !== undefined) tools.say(`result ${JSON.stringify({ value })}`);
}

'use strict';

// A snapshot of a process and of each Node.js process that it has started; or of each isolate of one.

const path = require('node:path');

const { EXIT, Problem } = require('./command.js');
const { Tree } = require('./tree.js');
const { family } = require('./which.js');

/**
 * One after the other: together they would need the memory of all at once.
 * @param {import('./processes.js').Target} target
 * @param {string} file
 * @param {(target: import('./processes.js').Target, file: string) => Promise<void>} take
 */
async function takeAll(target, file, take) {
  const nodes = family(new Tree(), target.pid);
  if (nodes.length === 0) throw new Problem(`process ${target.describe()} is not a Node process, and has started none`);
  return oneAfterTheOther(nodes, (node) => take(node.target, nameFor(file, node.pid)));
}

/**
 * A snapshot of each isolate of a process: of its main thread's, which says which others there are, and of those. The process is
 * stopped for each.
 * @param {import('./processes.js').Target} target
 * @param {string} file
 * @param {(file: string, thread: number) => Promise<{isolates: number[] | null}>} take
 */
async function takeThreads(target, file, take) {
  const threads = [target.pid];
  return oneAfterTheOther(threads, async (thread) => {
    const { isolates } = await take(nameFor(file, thread, '{thread}'), thread);
    if (thread !== target.pid) return;
    if (isolates === null) throw new Problem(`the Node.js of process ${target.pid} does not say which of its threads have an isolate: name them one by one (--thread)`);
    threads.push(...isolates.filter((each) => each !== thread));
  });
}

/** What fails of one keeps no other from being taken. `all` may grow meanwhile. */
async function oneAfterTheOther(all, take) {
  let failed = 0;
  for (const one of all) {
    try {
      await take(one);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      process.stderr.write(`heapdump-rs: ${error.message}\n`);
      failed++;
    }
  }
  if (failed === 0) return EXIT.fine;
  process.stderr.write(`heapdump-rs: ${failed} of ${all.length} snapshots are missing\n`);
  return failed === all.length ? EXIT.error : EXIT.findings;
}

/** `app.heapsnapshot.gz` → `app.4242.heapsnapshot.gz`; where the name has `{pid}`, the pid goes there. */
function nameFor(file, pid, place = '{pid}') {
  if (file.includes(place)) return file.replaceAll(place, pid);
  const { dir, base } = path.parse(file);
  const [, name, extension] = /^(.+?)((?:\.heapsnapshot|\.heapimage)?(?:\.gz|\.zst)?(?:\.age)?|\.[^.]+)$/.exec(base);
  return path.join(dir, `${name}.${pid}${extension}`);
}

module.exports = { nameFor, takeAll, takeThreads };

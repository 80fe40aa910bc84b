'use strict';

// A snapshot of a process and of each Node.js process that it has started.

const path = require('node:path');

const { EXIT, Problem } = require('./command.js');
const { Tree } = require('./tree.js');
const { family } = require('./which.js');

/**
 * One after the other: together they would need the memory of all at once. What fails of one keeps no other from being taken.
 * @param {import('./processes.js').Target} target
 * @param {string} file
 * @param {(target: import('./processes.js').Target, file: string) => Promise<void>} take
 */
async function takeAll(target, file, take) {
  const nodes = family(new Tree(), target.pid);
  if (nodes.length === 0) throw new Problem(`process ${target.describe()} is not a Node process, and has started none`);
  let failed = 0;
  for (const node of nodes) {
    try {
      await take(node.target, nameFor(file, node.pid));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      process.stderr.write(`heapdump-rs: ${error.message}\n`);
      failed++;
    }
  }
  if (failed === 0) return EXIT.fine;
  process.stderr.write(`heapdump-rs: ${failed} of ${nodes.length} snapshots are missing\n`);
  return failed === nodes.length ? EXIT.error : EXIT.findings;
}

/** `app.heapsnapshot.gz` → `app.4242.heapsnapshot.gz`; where the name has `{pid}`, the pid goes there. */
function nameFor(file, pid) {
  if (file.includes('{pid}')) return file.replaceAll('{pid}', pid);
  const { dir, base } = path.parse(file);
  const [, name, extension] = /^(.+?)((?:\.heapsnapshot|\.heapimage)?(?:\.gz|\.zst)?|\.[^.]+)$/.exec(base);
  return path.join(dir, `${name}.${pid}${extension}`);
}

module.exports = { nameFor, takeAll };

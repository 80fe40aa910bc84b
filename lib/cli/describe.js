'use strict';

// A Node.js process in a line.

const fs = require('node:fs');

const { scriptOf, statedHeapLimit } = require('./command-line.js');
const { containerOf } = require('./container.js');
const { userName } = require('./processes.js');
const { bestWay } = require('./ways.js');

/** What is known of a process; null for what is not. */
function describe({ target, pid, above }) {
  const facts = target.facts();
  const original = target.hasItsCommandLine();
  const words = target.commandLine();
  return {
    pid,
    parent: target.stat().parent,
    nodeParent: above ?? null,
    user: userName(Number(target.status('Uid').split(/\s+/)[1])),
    container: containerOf(target) ?? null,
    // A title is one word, which an option may have given too.
    script: (original ? scriptOf(words.slice(1)) : words).join(' ').trim(),
    title: !original,
    directory: fs.readlinkSync(target.at('cwd')),
    rss: target.memory('VmRSS'),
    heapLimit: facts?.heapLimit ?? statedHeapLimit(target.nodeOptions()) ?? null,
    loaded: target.hasLoadedPackage(facts),
    version: facts?.version ?? null,
    answers: target.dumpSignal(facts) ?? null,
    via: bestWay(target, facts),
  };
}

module.exports = { describe };

'use strict';

// Names of files that nobody chose one by one: patterns with {pid} {host} {thread} {time} {reason} {title} in them. The
// addon reads and expands them (src/filename.rs), also where JavaScript cannot run.

const { threadId } = require('node:worker_threads');

const { heap } = require('./native.js');
const { invalidType, invalidValue } = require('./errors.js');

/** A caller's pattern, checked, or that of NODE_HEAPDUMP_OPTIONS; undefined for the default names. */
function readName(name = heap.options().name) {
  if (name === undefined) return undefined;
  if (typeof name !== 'string') throw invalidType('name', 'a string', name);
  const wrong = heap.wrongName(name);
  if (wrong) throw invalidValue('name', `a file name (${wrong})`, name);
  return name;
}

/** A name for now, without its extension. */
const expandName = (pattern, reason) => heap.expandName(pattern, reason, threadId);

/** The source of a RegExp for the names that a pattern gives, without extension; the first group is the pid. */
function namesOf(pattern) {
  const stem = pattern.replace(/\.(?:heapsnapshot|heapimage)$/, '');
  const parts = stem.split(/\{(\w+)\}/);
  const values = { pid: '(\\d+)', thread: '\\d+', time: '\\d{8}T\\d{9}Z' };
  return parts
    .map((part, index) => {
      if (index % 2 === 0) return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
      const value = values[part] ?? '.+';
      // Only the first one is a group.
      if (part === 'pid') values.pid = '\\d+';
      return value;
    })
    .join('');
}

module.exports = { expandName, namesOf, readName };

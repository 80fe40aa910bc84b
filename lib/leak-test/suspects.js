'use strict';

// What grew in proportion to the runs, but for what the test runner and we ourselves keep.

const { addon } = require('../native.js');

/**
 * The suspects in snapshots.
 * @param {string[]} files the earliest first
 * @param {number[]} work the runs before each, since the one before
 */
async function suspectsIn(files, work, { iterations, isAllowed }) {
  const snapshots = await Promise.all(files.map(open));
  try {
    const [first, ...later] = snapshots;
    const question = {
      work,
      // What stays of every fourth run at least.
      minObjects: Math.ceil(iterations / 4),
      minBytes: 1,
      minBytesOfFew: 16 * 1024,
    };
    const { suspects } = JSON.parse(await first.findLeaks(later, JSON.stringify(question)));
    return suspects.filter((suspect) => suspect.instrument === null && !isAllowed(suspect));
  } finally {
    for (const snapshot of snapshots) snapshot.close();
  }
}

async function open(file) {
  const opened = await addon.openSnapshot(file, false, true, undefined, undefined, []);
  if (opened.message !== undefined) throw Object.assign(new Error(opened.message), { code: 'ERR_HEAPDUMP_ANALYZE' });
  return opened;
}

module.exports = { suspectsIn };

'use strict';

// A snapshot on its way to an exporter, whose object needs a name that says what it is.

const { once } = require('node:events');

const { createSnapshotStream } = require('../stream.js');

/**
 * `{kind, open, close}`: what comes, and a source that is told `reported(report)`. Where an image may take the snapshot's place,
 * that is known with the first bytes: so the child is at work already, and what is opened again is of the same kind.
 */
async function snapshotSource(options, reported = () => {}) {
  const start = (call) => createSnapshotStream(call).once('report', reported);
  const { output = 'snapshot', lowMemory } = options;
  if (lowMemory !== 'image' || output === 'image') return { kind: output, open: () => start(options), close() {} };
  let first = start(options);
  // Nobody else listens until it is opened.
  first.on('error', () => {});
  await once(first, 'readable');
  const { kind } = first;
  const again = { ...options, output: kind, lowMemory: 'error' };
  if (kind === 'image' && again.compress) again.compress = 'zstd';
  return {
    kind,
    open() {
      const stream = first ?? start(again);
      first = undefined;
      return stream;
    },
    close: () => first?.destroy(),
  };
}

module.exports = { snapshotSource };

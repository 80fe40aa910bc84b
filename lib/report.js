'use strict';

// What is said of a snapshot, to its caller and to everybody who listens.

const { channel } = require('node:diagnostics_channel');

const snapshots = channel('heapdump-rs:snapshot');

/** The addon's report with its path as the caller's kind of name. */
function toReport({ path, ...rest }, asBuffer = false) {
  return { path: asBuffer || path === undefined ? path : path.toString(), ...rest };
}

function publish(type, message) {
  if (snapshots.hasSubscribers) snapshots.publish({ type, ...message });
}

module.exports = { toReport, publish };

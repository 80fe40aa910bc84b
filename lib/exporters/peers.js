'use strict';

// The vendors' SDKs: optional peers, found beside this package or beside the program that runs.

const { createRequire } = require('node:module');

const { missingPeer } = require('../errors.js');

/** Their exports, in that order. Throws ERR_HEAPDUMP_MISSING_PEER when one is not installed. */
function loadPeers(exporter, names) {
  const missing = [];
  const found = names.map((name) => {
    const file = resolve(name);
    if (file === undefined) missing.push(name);
    return file;
  });
  if (missing.length > 0) throw missingPeer(exporter, missing);
  return found.map((file) => require(file));
}

/** A package that was installed as a link does not see its user's packages, so the program is asked as well. */
function resolve(name) {
  for (const from of [__filename, process.argv[1]]) {
    try {
      if (from !== undefined) return createRequire(from).resolve(name);
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  return undefined;
}

module.exports = { loadPeers };

'use strict';

// The vendors' SDKs: optional peers, found beside this package or beside the program that runs.

const { createRequire } = require('node:module');

const { missingPeer } = require('../errors.js');
const { isBundlers } = require('../no-binary.js');

/** Their exports, in that order. Throws ERR_HEAPDUMP_MISSING_PEER when one is not installed. */
function loadPeers(exporter, names) {
  const found = names.map((name) => besideUs(name) ?? besideTheProgram(name));
  const missing = names.filter((_, index) => found[index] === undefined);
  if (missing.length > 0) throw missingPeer(exporter, missing);
  return found;
}

/** Literal names in a `try`: so bundlers and tracers take along what is installed, and let the others be absent. */
function besideUs(name) {
  try {
    switch (name) {
      case '@aws-sdk/client-s3':
        return require('@aws-sdk/client-s3');
      case '@aws-sdk/lib-storage':
        return require('@aws-sdk/lib-storage');
      case '@azure/storage-blob':
        return require('@azure/storage-blob');
      case '@google-cloud/storage':
        return require('@google-cloud/storage');
    }
  } catch (error) {
    if (!isAbsent(error, name) && !isBundlers(error)) throw error;
  }
  return undefined;
}

/** A package that was installed as a link does not see its user's packages. */
function besideTheProgram(name) {
  if (process.argv[1] === undefined) return undefined;
  try {
    return createRequire(process.argv[1])(name);
  } catch (error) {
    if (!isAbsent(error, name)) throw error;
    return undefined;
  }
}

/** It, and nothing that it needs. Yarn's Plug'n'Play says in its own words what was asked for. */
const isAbsent = (error, name) =>
  error?.code === 'MODULE_NOT_FOUND' && (error.message.includes(`'${name}'`) || error.data?.request === name);

module.exports = { loadPeers };

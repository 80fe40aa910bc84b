'use strict';

// The option `redact`: what is written is without its texts, whoever writes it.

const { Transform } = require('node:stream');

const { addon, heap } = require('./native.js');
const { invalidType, invalidValue } = require('./errors.js');

const SHORTEST_KEY = 16;

/**
 * Whether and how a snapshot is to be redacted, as the addon takes it; undefined for not at all. What
 * NODE_HEAPDUMP_OPTIONS demands holds whatever a caller says.
 */
function redactionOf(redact) {
  const demanded = heap.options().redact;
  const asked = readRedact(redact);
  if (demanded === undefined) return asked;
  return { key: asked?.key, hidePaths: demanded === 'paths' || (asked?.hidePaths ?? false) };
}

function readRedact(redact) {
  if (redact === undefined || redact === false) return undefined;
  if (redact === true) return { hidePaths: false };
  if (redact === null || typeof redact !== 'object' || Array.isArray(redact)) {
    throw invalidType('redact', 'a boolean or an object { key, paths }', redact);
  }
  for (const name of Object.keys(redact)) {
    if (name !== 'key' && name !== 'paths') throw invalidValue('redact', `without "${name}", which is none of key, paths`, redact);
  }
  const { key, paths = false } = redact;
  if (typeof paths !== 'boolean') throw invalidType('redact.paths', 'a boolean', paths);
  return { key: key === undefined ? undefined : readKey(key), hidePaths: paths };
}

/** The value is in no message: it is a secret. */
function readKey(key) {
  const isBytes = typeof key === 'string' || key instanceof Uint8Array;
  if (!isBytes) throw invalidType('redact.key', 'a string or a Buffer', typeof key);
  const bytes = Buffer.from(key);
  if (bytes.length < SHORTEST_KEY) {
    throw invalidValue('redact.key', `a secret of ${SHORTEST_KEY} bytes or more`, `one of ${bytes.length} bytes`);
  }
  return bytes;
}

/** A stream that takes the texts out of a snapshot that goes through it. Fails where it is none, before anything else is let through. */
function redactor(redaction) {
  const native = new addon.Redactor(redaction);
  return new Transform({
    transform(chunk, encoding, callback) {
      try {
        callback(null, native.push(chunk));
      } catch (error) {
        callback(redactError(error));
      }
    },
    flush(callback) {
      try {
        native.finish();
        callback();
      } catch (error) {
        callback(redactError(error));
      }
    },
  });
}

function redactError(error) {
  return Object.assign(new Error(`the heap snapshot cannot be redacted: ${error.message}`), { code: 'ERR_HEAPDUMP_REDACT' });
}

module.exports = { redactionOf, redactor };

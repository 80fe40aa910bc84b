'use strict';

// The option `encryptTo`: what is written can be read by its recipients alone, whoever writes it.

const { Transform } = require('node:stream');

const { addon, heap } = require('./native.js');
const { invalidType, invalidValue } = require('./errors.js');

/**
 * Recipients of a snapshot; undefined for everybody. What NODE_HEAPDUMP_OPTIONS demands holds whatever a caller says, who is
 * not added.
 */
function recipientsOf(encryptTo) {
  const asked = readRecipients(encryptTo, 'encryptTo');
  return heap.options().encrypt ?? asked;
}

/** What is given may be a secret key by mistake: it is in no message. */
function readRecipients(value, name) {
  if (value === undefined) return undefined;
  const texts = Array.isArray(value) ? value : [value];
  if (texts.some((text) => typeof text !== 'string')) throw invalidType(name, 'a recipient of age (age1…), or an array of them', typeof value);
  if (texts.length === 0) throw invalidValue(name, 'one recipient at least', value);
  for (const text of texts) {
    const wrong = addon.Sealer.refuse(text);
    if (wrong != null) throw invalidValue(name, 'recipients of age', `one that is ${wrong}`);
  }
  return texts;
}

/** A stream that encrypts what goes through it. */
function sealer(recipients) {
  let native;
  const handOn = (callback, work) => {
    let bytes;
    try {
      bytes = work();
    } catch (error) {
      callback(encryptError(error.message));
      return;
    }
    callback(null, bytes);
  };
  return new Transform({
    transform: (chunk, encoding, callback) => handOn(callback, () => (native ??= new addon.Sealer(recipients)).push(chunk)),
    flush: (callback) => handOn(callback, () => (native ??= new addon.Sealer(recipients)).finish()),
  });
}

/** What V8 would write by itself is in clear. */
function encryptError(why) {
  return Object.assign(new Error(`the heap snapshot cannot be encrypted: ${why}`), { code: 'ERR_HEAPDUMP_ENCRYPT' });
}

module.exports = { encryptError, readRecipients, recipientsOf, sealer };

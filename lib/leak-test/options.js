'use strict';

const { invalidType, invalidValue } = require('../errors.js');

/** Below, chance has too large a part in what grows. */
const FEWEST = 5;

/** What expectNoLeak was called with, checked. */
function readOptions(work, options = {}) {
  if (typeof work !== 'function') throw invalidType('work', 'a function', work);
  if (options === null || typeof options !== 'object') throw invalidType('options', 'an object', options);
  const { iterations = 20, warmup = iterations, max = 0, allow = [], directory } = options;
  if (!Number.isInteger(iterations) || iterations < FEWEST) {
    throw invalidValue('iterations', `an integer from ${FEWEST}`, iterations);
  }
  if (!Number.isInteger(warmup) || warmup < 1) throw invalidValue('warmup', 'an integer from 1', warmup);
  if (typeof max !== 'number' || !(max >= 0)) throw invalidValue('max', 'a number of bytes from 0', max);
  if (directory !== undefined && typeof directory !== 'string') throw invalidType('directory', 'a string', directory);
  return { iterations, warmup, max, directory, isAllowed: readAllow(allow) };
}

/** A suspect is allowed by a text in its sentence, a pattern that fits it, or a function that says so. */
function readAllow(allow) {
  const rules = [allow].flat().map((rule) => {
    if (typeof rule === 'string') return ({ sentence }) => sentence.includes(rule);
    if (typeof rule === 'function') return rule;
    // Of another realm, as Jest's are.
    if (typeof rule?.exec === 'function') return ({ sentence }) => sentence.search(rule) >= 0;
    throw invalidType('allow', 'a string, a RegExp, a function, or an array of them', rule);
  });
  return (suspect) => rules.some((rule) => rule(suspect));
}

module.exports = { readOptions };

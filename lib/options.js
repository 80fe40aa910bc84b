'use strict';

// From a caller's options to those of the addon, checked.

const { heap } = require('./native.js');
const { invalidType, invalidValue } = require('./errors.js');
const { recipientsOf } = require('./encrypt.js');
const { redactionOf } = require('./redact.js');

const CHOICES = {
  output: ['snapshot', 'image'],
  lowMemory: ['error', 'image'],
  embed: ['auto', 'all'],
  mode: ['auto', 'fork', 'inline'],
  compress: ['gzip', 'zstd'],
  fallback: ['inline', 'error'],
  busy: ['queue', 'reject'],
};
const FLAGS = ['exposeInternals', 'exposeNumericValues', 'stableIds'];

/**
 * Options as the addon takes them.
 * @param {object} [options] the caller's
 */
function normalize(options = {}) {
  if (options === null || typeof options !== 'object' || Array.isArray(options)) {
    throw invalidType('options', 'an object', options);
  }
  check(options);
  const redact = redactionOf(options.redact);
  const encrypt = recipientsOf(options.encryptTo);
  // What the process is told to redact no caller's own recipients may read.
  const demanded = heap.options();
  const isInClear = redact !== undefined && (demanded.redact === undefined ? encrypt : demanded.encrypt) === undefined;
  if (isInClear && options.output === 'image') {
    throw invalidValue('output', "'snapshot' where redact is set without encryptTo: an image is all of a process' memory", options.output);
  }
  const content = contentOf(options, isInClear);
  const mode = options.mode ?? (heap.options().inProcess ? 'inline' : 'auto');
  const fallback = options.fallback ?? (mode === 'fork' ? 'error' : 'inline');
  return {
    inProcess: mode === 'inline',
    // An image is a child's memory: in process there is none.
    fallbackInline: fallback === 'inline' && content !== 'image',
    content,
    embedAll: options.embed === 'all',
    compress: options.compress,
    redact,
    encrypt,
    exposeInternals: options.exposeInternals ?? false,
    exposeNumericValues: options.exposeNumericValues ?? false,
    stableIds: options.stableIds ?? false,
    fileMode: options.fileMode ?? 0o600,
    timeout: options.timeout,
    rejectWhenBusy: options.busy === 'reject',
    progress: options.onProgress !== undefined,
  };
}

/** What is written, as the addon calls it; undefined for a snapshot. No image shows everybody what is `redacted`. */
function contentOf({ output, lowMemory }, redacted) {
  if (output === 'image') return 'image';
  return !redacted && lowMemory === 'image' ? 'image-if-no-memory' : undefined;
}

function check(options) {
  for (const [name, choices] of Object.entries(CHOICES)) {
    const value = options[name];
    if (value !== undefined && !choices.includes(value)) {
      throw invalidValue(name, `one of ${choices.map((choice) => `'${choice}'`).join(', ')}`, value);
    }
  }
  for (const name of FLAGS) {
    if (options[name] !== undefined && typeof options[name] !== 'boolean') {
      throw invalidType(name, 'a boolean', options[name]);
    }
  }
  if (options.output === 'image' && options.compress === 'gzip') {
    throw invalidValue('compress', "'zstd' or absent where output is 'image'", options.compress);
  }
  const { fileMode, timeout, onProgress, signal } = options;
  if (fileMode !== undefined && !(Number.isInteger(fileMode) && fileMode >= 0 && fileMode <= 0o777)) {
    throw invalidValue('fileMode', 'an integer from 0 to 0o777', fileMode);
  }
  if (timeout !== undefined && !(typeof timeout === 'number' && timeout > 0 && Number.isFinite(timeout))) {
    throw invalidValue('timeout', 'a positive number of milliseconds', timeout);
  }
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw invalidType('onProgress', 'a function', onProgress);
  }
  if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
    throw invalidType('signal', 'an AbortSignal', signal);
  }
}

module.exports = { normalize };

'use strict';

// The one place where the addon's plain errors become JavaScript errors.

const { getSystemErrorName } = require('node:util');

/**
 * @param {{code?: string, message: string, errno?: number, syscall?: string, path?: Buffer}} plain
 * @param {unknown} [reason] of an AbortSignal
 */
function toError(plain, reason) {
  if (plain.errno !== undefined) return systemError(plain);
  const error = new Error(plain.message, reason === undefined ? undefined : { cause: reason });
  error.code = plain.code;
  if (plain.code === 'ABORT_ERR') error.name = 'AbortError';
  if (plain.path !== undefined) error.path = plain.path.toString();
  return error;
}

/** As Node's own file system errors, with the text of node-heapdump. */
function systemError({ errno, syscall, path }) {
  const code = nameOf(errno);
  const error = new Error(`heapdump write error ${code}`);
  return Object.assign(error, { errno, code, syscall, path: path.toString() });
}

/** libuv has no name for a few of them, such as EDQUOT. */
function nameOf(errno) {
  if (!(errno < 0)) return 'UNKNOWN';
  const name = getSystemErrorName(errno);
  if (!name.startsWith('Unknown')) return name;
  const { constants } = require('node:os');
  return Object.keys(constants.errno).find((key) => constants.errno[key] === -errno) ?? name;
}

function abortError(reason) {
  return toError({ code: 'ABORT_ERR', message: 'The operation was aborted' }, reason);
}

function invalidArgument(kind, code, name, expected, value) {
  const { inspect } = require('node:util');
  const error = new kind(`The "${name}" option must be ${expected}. Received ${inspect(value, { depth: 0 })}`);
  error.code = code;
  return error;
}

const invalidType = (name, expected, value) => invalidArgument(TypeError, 'ERR_INVALID_ARG_TYPE', name, expected, value);
const invalidValue = (name, expected, value) =>
  invalidArgument(TypeError, 'ERR_INVALID_ARG_VALUE', name, expected, value);

/** What `process.permission` refuses (its errors are not constructible from outside). */
function accessDenied(resource) {
  const error = new Error(`Access to this API has been restricted. Use --allow-fs-write to write ${resource}`);
  return Object.assign(error, { code: 'ERR_ACCESS_DENIED', permission: 'FileSystemWrite', resource });
}

/** What a store, or the way to it, said; `cause` is its own error. */
function exportFailed(exporter, cause, more) {
  const answered = typeof cause.code === 'number' ? `the store answered ${cause.code}` : undefined;
  const error = new Error(`${exporter}: ${cause.message || answered || cause.code || cause.name}`, { cause });
  return Object.assign(error, { code: 'ERR_HEAPDUMP_EXPORT', exporter }, more);
}

/** An SDK that an exporter works with and that the application has not installed. */
function missingPeer(exporter, packages) {
  const list = packages.join(' ');
  const error = new Error(`${exporter} needs what is not installed here: npm install ${list}`);
  return Object.assign(error, { code: 'ERR_HEAPDUMP_MISSING_PEER', exporter, packages });
}

/** What nobody awaits. Codes of others may be numbers (gRPC's), for which `process.emitWarning` throws. */
function warn(text, { code }) {
  process.emitWarning(text, { type: 'HeapdumpWarning', code: typeof code === 'string' ? code : undefined });
}

/** Whatever somebody threw. */
const asError = (thrown) => (thrown instanceof Error ? thrown : new Error(String(thrown)));

module.exports = { warn, asError, toError, abortError, invalidType, invalidValue, accessDenied, exportFailed, missingPeer };

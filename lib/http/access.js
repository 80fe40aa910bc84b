'use strict';

// Who may have a snapshot over HTTP: the method, the name that the client used, the page it came from, the token, and
// the application's own say, in this order.

const { createHash, timingSafeEqual } = require('node:crypto');
const { isIP } = require('node:net');

const { invalidType, invalidValue } = require('../errors.js');

const SHORTEST_TOKEN = 16;
const HOST = /^(?:([\w.-]+)|\[([\da-f:.]+)\])(?::\d+)?$/i;

/** `{refuse(request)}`: resolves with undefined, or with the status and the reason of a refusal. */
function readAccess(options) {
  if (options === null || typeof options !== 'object') throw invalidType('options', 'an object', options);
  const { token, authorize, allowGet = false, hosts = [] } = options;
  const tokens = readTokens(token);
  if (authorize !== undefined && typeof authorize !== 'function') throw invalidType('authorize', 'a function', authorize);
  if (tokens.length === 0 && !authorize) throw invalidValue('token', 'given, or authorize: the heap holds secrets', token);
  if (typeof allowGet !== 'boolean') throw invalidType('allowGet', 'a boolean', allowGet);
  if (hosts !== 'any' && !Array.isArray(hosts)) throw invalidType('hosts', "an array of names, or 'any'", hosts);
  const methods = allowGet ? ['POST', 'GET'] : ['POST'];
  const allow = methods.join(', ');

  return {
    async refuse(request) {
      const { method, headers } = request;
      if (!methods.includes(method)) return { status: 405, reason: `${allow} only`, headers: { Allow: allow } };
      const host = headers.host ?? headers[':authority'];
      if (hosts !== 'any' && !isKnownHost(host, hosts)) return { status: 403, reason: 'not a host name of this server' };
      if (!isSameOrigin(headers, host)) return { status: 403, reason: "a page of another origin's request" };
      if (tokens.length > 0 && !hasToken(headers.authorization, tokens)) {
        return { status: 401, reason: 'no token, or a wrong one', headers: { 'WWW-Authenticate': 'Bearer' } };
      }
      if (authorize && !(await asks(authorize, request))) return { status: 403, reason: 'not authorized' };
      return undefined;
    },
  };
}

function readTokens(token) {
  if (token === undefined) return [];
  const list = Array.isArray(token) ? token : [token];
  // An empty list or an unset variable must not open the door.
  if (list.length === 0) throw invalidValue('token', 'at least one', token);
  for (const each of list) {
    if (typeof each !== 'string') throw invalidType('token', 'a string', typeof each);
    if (each.length < SHORTEST_TOKEN) throw invalidValue('token', `at least ${SHORTEST_TOKEN} characters`, '(shorter)');
  }
  return list.map(digest);
}

/** Digests have one length, and tell nothing of how much of a guess was right; every token is compared. */
function hasToken(header, tokens) {
  const [, guess] = /^Bearer +(\S+)$/i.exec(header ?? '') ?? [];
  if (guess === undefined) return false;
  const hashed = digest(guess);
  return tokens.map((token) => timingSafeEqual(token, hashed)).includes(true);
}

const digest = (text) => createHash('sha256').update(text).digest();

/**
 * A page that rebinds its own name to this server's address still sends that name. Addresses cannot be rebound, and
 * `localhost` is nobody's.
 */
function isKnownHost(header, hosts) {
  const [, name, address] = HOST.exec(header ?? '') ?? [];
  if (address !== undefined) return isIP(address) !== 0;
  if (name === undefined) return false;
  const wanted = name.toLowerCase();
  return isIP(name) !== 0 || wanted === 'localhost' || hosts.some((host) => host.toLowerCase() === wanted);
}

/** Browsers say which page a request comes from; programs such as curl say nothing. */
function isSameOrigin(headers, host) {
  if (headers['sec-fetch-site'] === 'cross-site' || headers['sec-fetch-site'] === 'same-site') return false;
  const { origin } = headers;
  if (origin === undefined) return true;
  return /^https?:\/\/(.*)$/.exec(origin)?.[1] === host;
}

/** A check that fails is no permission. */
async function asks(authorize, request) {
  try {
    return (await authorize(request)) === true;
  } catch {
    return false;
  }
}

module.exports = { readAccess };

'use strict';

// A webhook: one POST, streamed. Where the length is not known beforehand the digest follows in a trailer.

const { createHash } = require('node:crypto');
const fs = require('node:fs');
const { isIP } = require('node:net');
const { pipeline } = require('node:stream/promises');
const { setTimeout: delay } = require('node:timers/promises');

const { exportFailed, invalidType, invalidValue } = require('../errors.js');
const { Exporter, contentType } = require('./exporter.js');

const AGAIN = new Set([408, 425, 429, 500, 502, 503, 504]);
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 60_000;

class WebhookExporter extends Exporter {
  #url;
  #options;

  constructor({ url, method = 'POST', headers = {}, retries = 3, timeout = 120_000, insecure = false } = {}) {
    super();
    this.#url = new URL(url);
    if (!['http:', 'https:'].includes(this.#url.protocol)) throw invalidValue('url', 'http or https', String(url));
    if (this.#url.protocol === 'http:' && !insecure && !isLoopback(this.#url.hostname)) {
      throw invalidValue('url', 'https, or `insecure: true` given: the heap holds secrets', this.#url.origin);
    }
    if (!(Number.isInteger(retries) && retries >= 0)) throw invalidValue('retries', 'a number of attempts', retries);
    if (!(typeof timeout === 'number' && timeout > 0)) throw invalidValue('timeout', 'milliseconds', timeout);
    if (headers === null || typeof headers !== 'object') throw invalidType('headers', 'an object', headers);
    this.#options = { method, headers, retries, timeout };
  }

  async store(input, { name, signal }) {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#send(input, name, signal);
      } catch (error) {
        const final = attempt >= this.#options.retries || !input.isRepeatable || error.status && !AGAIN.has(error.status);
        if (final || input.error || signal?.aborted) throw error;
        await delay(pauseBefore(attempt, error.retryAfter), undefined, { signal });
      }
    }
  }

  async #send(input, name, signal) {
    const { method, headers, timeout } = this.#options;
    const more = input.file === undefined ? { Trailer: 'Content-Digest' } : await describe(input.file);
    const { request: begin } = this.#url.protocol === 'https:' ? require('node:https') : require('node:http');
    const request = begin(this.#url, {
      method,
      headers: { 'Content-Type': contentType(name), 'X-Heapdump-Name': encodeURIComponent(name), ...more, ...headers },
      timeout,
      signal,
    });
    request.on('timeout', () => request.destroy(new Error(`nothing moved for ${timeout} ms`)));
    const answer = new Promise((resolve, reject) => request.once('response', resolve).once('error', reject));
    answer.catch(() => {});
    const body = input.open();
    // A server that says no need not hear the rest.
    answer.then((response) => response.statusCode >= 300 && body.destroy(), () => body.destroy());
    if (input.file === undefined) body.once('end', () => request.addTrailers({ 'Content-Digest': digest(input.sha256) }));
    const sent = pipeline(body, request).catch((error) => error);
    // What the source failed with goes before what that did to the request, and an answer before both.
    const response = await answer.catch(async (error) => {
      await sent;
      throw error;
    });
    response.resume();
    const { statusCode: status } = response;
    if (status < 200 || status >= 300) {
      request.destroy();
      const error = new Error(`${this.#url.host} answered ${status}`);
      throw exportFailed('WebhookExporter', error, { status, retryAfter: response.headers['retry-after'] });
    }
    const failure = await sent;
    if (failure) throw failure;
    return new URL(response.headers.location ?? '', withoutSecrets(this.#url)).href;
  }
}

/** A file's length and digest are known before it is sent; some receivers insist on a length. */
async function describe(file) {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of fs.createReadStream(file)) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { 'Content-Length': bytes, 'Content-Digest': digest(hash.digest('hex')) };
}

/** RFC 9530. */
const digest = (hex) => `sha-256=:${Buffer.from(hex, 'hex').toString('base64')}:`;

function pauseBefore(attempt, retryAfter) {
  const asked = Number(retryAfter) * 1000;
  if (asked >= 0) return Math.min(asked, LONGEST_PAUSE_MS);
  return Math.min(FIRST_PAUSE_MS * 2 ** attempt * (1 + Math.random()), LONGEST_PAUSE_MS);
}

function isLoopback(hostname) {
  const address = hostname.replace(/^\[|\]$/g, '');
  return hostname === 'localhost' || address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}

/** Addresses of webhooks often hold a token. */
const withoutSecrets = ({ origin, pathname }) => origin + pathname;

module.exports = { WebhookExporter };

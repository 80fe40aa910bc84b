'use strict';

// What `heapdump-rs view` answers with: the page, and the analyzer behind it, to nobody but the page that was opened.

const { randomBytes, timingSafeEqual } = require('node:crypto');
const http = require('node:http');

const { livePage } = require('./page.js');

/** The longest question. */
const LONGEST = 64 * 1024;
/** By whatever address a tunnel is reached, it is this machine's own: another name for it is somebody else's trick (DNS rebinding). */
const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);

/**
 * @param {{status(): object, report(): Promise<object>, ask(question: string, options: object): Promise<object>}} answers
 * @param {number} port 0 for any
 * @returns {Promise<{server: http.Server, address: string}>} listening; `address` has the token, in the part that no request carries
 */
async function serve(answers, port) {
  const token = randomBytes(24).toString('base64url');
  const { page, policy } = livePage();
  const server = http.createServer((request, response) => {
    for (const [name, value] of Object.entries(headers(policy))) response.setHeader(name, value);
    const refused = refusal(request, token);
    if (refused) return send(response, refused.status, { error: refused.error });
    if (request.url === '/') return response.setHeader('Content-Type', 'text/html; charset=utf-8').end(request.method === 'HEAD' ? '' : page);
    answer(request, answers).then(
      (found) => send(response, 200, found),
      (error) => send(response, error.status ?? 400, { error: error.message }),
    );
  });
  // Nobody keeps it from ending.
  server.keepAliveTimeout = 1000;
  await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  return { server, address: `http://127.0.0.1:${server.address().port}/#token=${token}` };
}

const headers = (policy) => ({
  'Cache-Control': 'no-store',
  'Content-Security-Policy': `${policy}; frame-ancestors 'none'`,
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
});

/** Why a request is not answered. The page itself has nothing of a heap: only what it asks needs the token. */
function refusal({ method, url, headers }, token) {
  const { host = '', origin, 'sec-fetch-site': site = 'none', 'content-type': type = '', authorization = '' } = headers;
  if (!LOOPBACK.has(host.replace(/:\d+$/, ''))) return { status: 403, error: 'asked by another name' };
  if (origin !== undefined && origin !== `http://${host}`) return { status: 403, error: 'asked by another page' };
  if (url === '/') return /^(GET|HEAD)$/.test(method) ? undefined : { status: 405, error: 'only GET' };
  if (!['/status', '/report', '/ask'].includes(url)) return { status: 404, error: 'there is nothing here' };
  if (method !== 'POST') return { status: 405, error: 'only POST' };
  if (!['none', 'same-origin'].includes(site)) return { status: 403, error: 'asked by another page' };
  if (!/^application\/json\b/.test(type)) return { status: 415, error: 'only JSON' };
  if (!same(authorization, `Bearer ${token}`)) return { status: 401, error: 'The token is another: open the address that `heapdump-rs view` printed.' };
  return undefined;
}

function same(given, wanted) {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}

async function answer(request, answers) {
  const body = await read(request);
  if (request.url === '/status') return answers.status();
  if (request.url === '/report') return answers.report();
  const { question, options } = body;
  if (typeof question !== 'string' || typeof options !== 'object' || options === null) throw new Error('a question and its options are needed');
  return answers.ask(question, options);
}

async function read(request) {
  const pieces = [];
  let length = 0;
  for await (const piece of request) {
    length += piece.length;
    if (length > LONGEST) throw Object.assign(new Error('the question is too long'), { status: 413 });
    pieces.push(piece);
  }
  const body = JSON.parse(Buffer.concat(pieces).toString());
  if (typeof body !== 'object' || body === null) throw new Error('an object is needed');
  return body;
}

function send(response, status, value) {
  response.statusCode = status;
  response.setHeader('Content-Type', 'application/json; charset=utf-8');
  response.end(JSON.stringify(value));
}

module.exports = { serve };

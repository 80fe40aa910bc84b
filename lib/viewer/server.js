'use strict';

// What `heapdump-rs view` answers with: the page, and the analyzer behind it, to nobody but the page that was opened.

const { randomBytes, timingSafeEqual } = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');

const { livePage } = require('./page.js');

/** The longest question. */
const LONGEST = 64 * 1024;
/** By whatever address a tunnel is reached, it is this machine's own: another name for it is somebody else's trick (DNS rebinding). */
const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);
/** Whoever holds a connection open without a question is let go of, in ms. */
const PATIENCE = 30_000;
/** A session that was forgotten, over ssh for instance, is not to hold its gigabytes for ever, in ms. */
const FORGOTTEN = 24 * 3600_000;

/**
 * @param {{status(): object, report(): Promise<object>, ask(question: string, options: object): Promise<object>}} answers
 * @param {number} port 0 for any
 * @param {number} [forgotten] ends when nothing was asked for so long, in ms
 * @returns {Promise<{server: http.Server, address: string}>} listening; `address` has the token, in the part that no request carries
 */
async function serve(answers, port, forgotten = FORGOTTEN) {
  const token = randomBytes(24).toString('base64url');
  const { page, policy } = livePage();
  const server = http.createServer((request, response) => {
    for (const [name, value] of Object.entries(headers(policy))) response.setHeader(name, value);
    const refused = refusal(request, token);
    // What else such a request brings is not read.
    if (refused) return send(response.setHeader('Connection', 'close'), refused.status, { error: refused.error });
    end.refresh();
    if (request.url === '/') return response.setHeader('Content-Type', 'text/html; charset=utf-8').end(request.method === 'HEAD' ? '' : page);
    answer(request, answers).then(
      (found) => send(response, 200, found),
      (error) => send(response, error.status ?? 400, { error: error.message }),
    );
  });
  // Nobody keeps it from ending.
  server.keepAliveTimeout = 1000;
  server.headersTimeout = server.requestTimeout = PATIENCE;
  const end = setTimeout(() => {
    server.close();
    server.closeAllConnections();
  }, forgotten).unref();
  server.once('close', () => clearTimeout(end));
  server.on('connection', (socket) => isStrangers(socket) && socket.destroy());
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

/**
 * Whether another user of this machine is at the other end. The address with its token may be on a command line, which all users
 * see: that of the browser. Linux says whose a socket is (the kernel's net/ipv4/tcp_ipv4.c, `get_tcp4_sock`); root's are tunnels.
 */
function isStrangers({ remotePort, localPort }) {
  if (process.platform !== 'linux') return false;
  const hex = (port) => `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  try {
    const line = fs.readFileSync('/proc/net/tcp', 'utf8').split('\n').find((text) => text.includes(`: ${hex(remotePort)} ${hex(localPort)} `));
    const [, , , , , , , user] = line.trim().split(/\s+/);
    return ![0, process.getuid()].includes(Number(user));
  } catch {
    // Nobody says it: the token must do.
    return false;
  }
}

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

'use strict';

// What a handler is called with and what it has to give back, framework by framework. None of them is loaded here: each
// is known by what it hands over.

const { invalidType } = require('../errors.js');

/**
 * A handler for all of them from one of node:http's. `answer` never rejects.
 * @param {(request: object, response: object) => Promise<void>} answer
 */
function adapt(answer) {
  return async function heapdump(first, second) {
    // Hono on Node.js: a context whose environment holds both.
    if (first?.env?.incoming && first.env.outgoing) return answerHono(answer, first.env);
    // Koa: a context that holds both.
    if (isRequest(first?.req) && isResponse(first.res)) {
      first.respond = false;
      return answer(first.req, first.res);
    }
    // Fastify: a request and a reply around both.
    if (isRequest(first?.raw) && isResponse(second?.raw)) {
      second.hijack();
      return answer(first.raw, second.raw);
    }
    if (isRequest(first) && isResponse(second)) return answer(first, second);
    throw invalidType('request', 'of node:http, Express, Fastify, Koa, or Hono on @hono/node-server', first);
  };
}

async function answerHono(answer, { incoming, outgoing }) {
  if (incoming.method === 'HEAD') {
    // Hono makes a Response of its own from what it gets here, and sends that.
    const head = {};
    await answer(incoming, { writeHead: (status, headers) => Object.assign(head, { status, headers }), end() {} });
    return new Response(null, head);
  }
  await answer(incoming, outgoing);
  // @hono/node-server's own sign that there is nothing left to send (its RESPONSE_ALREADY_SENT). A clone, since the server
  // replaces Response and looks for no such header in what comes from its own class.
  return new Response(null, { headers: { 'x-hono-already-sent': 'true' } }).clone();
}

function sendJson(request, response, status, body, headers = {}) {
  if (response.destroyed || response.headersSent) return;
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'Cache-Control': 'no-store, no-transform',
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
    'X-Content-Type-Options': 'nosniff',
    ...headers,
  });
  response.end(request.method === 'HEAD' ? undefined : text);
}

const isRequest = (value) => typeof value?.method === 'string' && typeof value.pipe === 'function';
const isResponse = (value) => typeof value?.writeHead === 'function' && typeof value.end === 'function';

module.exports = { adapt, sendJson };

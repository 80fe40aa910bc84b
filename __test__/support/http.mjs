// Requests as a test needs them: fetch lets nobody choose a Host, or go away half-way.

import http from 'node:http';
import { text } from 'node:stream/consumers';

/** Of every handler under test. */
export const TOKEN = 'a-token-of-24-characters';
export const AUTHORIZATION = { authorization: `Bearer ${TOKEN}` };

/** Resolves with the response, unread. */
export function ask(port, { method = 'POST', path = '/', headers = AUTHORIZATION } = {}) {
  return new Promise((resolve, reject) => {
    // A connection of its own: nothing of one request is left for the next.
    const request = http.request({ host: '127.0.0.1', port, method, path, headers, agent: false });
    request.once('response', resolve).once('error', reject).end();
  });
}

/** Status, headers and body; a body of JSON parsed. */
export async function askWhole(port, options) {
  const response = await ask(port, options);
  const body = await text(response);
  const isJson = response.headers['content-type']?.startsWith('application/json') && body !== '';
  return { status: response.statusCode, headers: response.headers, body: isJson ? JSON.parse(body) : body };
}

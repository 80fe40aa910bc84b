'use strict';

// A snapshot from an HTTP endpoint: one that sends the file, or one that answers `{snapshot, size}`, the name of a file
// on its machine.

const fs = require('node:fs');
const path = require('node:path');

const { IMAGE_NAME } = require('../extensions.js');
const { Problem, printable, size } = require('./command.js');
const { plainly } = require('./output.js');
const { findListener } = require('./processes.js');

const ANSWER_LIMIT = 64 * 1024;

/**
 * @param {{url: string, token?: string, method?: string}} endpoint
 * @param {import('./output.js').Output} output
 * @param {import('./command.js').Progress} progress
 */
async function fromEndpoint({ url, token, method, signal }, output, progress) {
  const address = readUrl(url);
  if (output.wantsImage) address.searchParams.set('output', 'image');
  const response = await ask(address, token, method, signal);
  if (response.statusCode !== 200) throw new Problem(await refusal(address, response, token, method));
  if (/^application\/json\b/.test(response.headers['content-type'] ?? '')) {
    const file = await named(address, response);
    progress.say(`copying ${printable(file)}`);
    const copied = (bytes) => progress.show(`${size(bytes)} copied`);
    return output.receive(fs.createReadStream(file), copied, signal, IMAGE_NAME.test(file));
  }
  const isImage = response.headers['x-heapdump-kind'] === 'image';
  return output.receive(response, (bytes) => progress.show(`${size(bytes)} downloaded`), signal, isImage);
}

function readUrl(text) {
  const address = URL.canParse?.(text) === false ? undefined : tryUrl(text);
  if (address === undefined || !/^https?:$/.test(address.protocol)) {
    throw new Problem(`--endpoint must be an http: or https: address, not ${printable(text)}`);
  }
  return address;
}

function tryUrl(text) {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

/** POST, as ours wants it (a GET can be made by any web page); GET where the server has no such POST. */
async function ask(address, token, method, signal) {
  const first = await request(address, token, method ?? 'POST', signal);
  if (method !== undefined || ![404, 405, 501].includes(first.statusCode)) return first;
  const again = await request(address, token, 'GET', signal);
  // Where neither is there, what was said of the first one counts.
  if (![404, 405, 501].includes(again.statusCode)) {
    first.resume();
    return again;
  }
  again.resume();
  return first;
}

function request(address, token, method, signal) {
  const { request: send } = address.protocol === 'https:' ? require('node:https') : require('node:http');
  const headers = { accept: 'application/octet-stream, application/json;q=0.9, */*;q=0.5', 'accept-encoding': 'gzip' };
  if (method === 'POST') headers['content-length'] = 0;
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  return new Promise((resolve, reject) => {
    send(address, { method, headers, signal, agent: false })
      .on('response', resolve)
      .on('error', (error) =>
        reject(new Problem(signal?.aborted ? 'the time of --timeout is over' : unreachable(address, error))),
      )
      .end();
  });
}

function unreachable({ host, hostname }, error) {
  const words = {
    ECONNREFUSED: `nobody listens at ${host}`,
    ENOTFOUND: `there is no host ${hostname}`,
    EAI_AGAIN: `there is no host ${hostname}, or no name server answers`,
    ECONNRESET: `${host} closed the connection without an answer`,
  };
  return words[error.code] ?? `no answer from ${host}: ${printable(error.message)}`;
}

/** What a person can do about another status than 200. */
async function refusal(address, response, token, method) {
  const { statusCode: status, statusMessage, headers } = response;
  const words = {
    401: token === undefined ? 'it wants a token: --token' : 'it does not accept this token',
    403:
      token === undefined
        ? 'it does not let this client in; it may want a token: --token'
        : 'it does not let this client in',
    404: 'there is no such page',
    405: method === undefined ? 'it accepts neither POST nor GET' : `it does not accept ${method}`,
    409: 'another snapshot is being taken; try again later',
    429: 'another snapshot was taken just now; try again later',
    503: 'it cannot take a snapshot now',
  };
  const more = headers.location === undefined ? '' : `, it points to ${printable(headers.location)}`;
  const said = printable((await readText(response).catch(() => '')).trim());
  const reason = words[status] ? `: ${words[status]}` : '';
  const answered = `${address.origin}${address.pathname} answered ${status} ${printable(statusMessage)}`;
  return `${answered}${reason}${more}${said && `\nIt said: ${said}`}`;
}

async function readText(response) {
  const chunks = [];
  let length = 0;
  for await (const chunk of response) {
    length += chunk.length;
    if (length > ANSWER_LIMIT) throw new Problem('the JSON answer is too long to be {snapshot, size}');
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  return (
    response.headers['content-encoding'] === 'gzip'
      ? require('node:zlib').gunzipSync(body, { maxOutputLength: ANSWER_LIMIT })
      : body
  ).toString();
}

/** The file that a JSON answer names, if it is readable here and has the size that it says. */
async function named(address, response) {
  const { snapshot, size: expected } = await answer(response);
  const tried = [];
  for (const file of candidates(address, snapshot)) {
    const found = look(file);
    if (found.isFile?.() && found.size === expected) return file;
    const why = found.isFile?.() ? `has ${found.size} bytes` : found.isFile ? 'is no file' : plainly(found);
    tried.push(`${printable(file)} ${found.isFile ? why : `cannot be read here (${why})`}`);
  }
  throw new Problem(
    `the endpoint wrote ${printable(snapshot)} (${expected} bytes) on its machine, but ${tried.join('; ')}. ` +
      'Run this where that file is, or let the endpoint send it',
  );
}

async function answer(response) {
  let value;
  try {
    value = JSON.parse(await readText(response));
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem(`the endpoint's JSON answer cannot be read: ${printable(plainly(error))}`);
  }
  const { snapshot, size: bytes } = value ?? {};
  if (typeof snapshot !== 'string' || snapshot === '' || snapshot.includes('\0') || !Number.isSafeInteger(bytes)) {
    throw new Problem(`the endpoint's JSON answer is not {snapshot, size}: ${printable(JSON.stringify(value))}`);
  }
  return value;
}

/** A relative name is the server's, whose directory is known where it runs here. */
function* candidates(address, snapshot) {
  if (!path.isAbsolute(snapshot) && process.platform === 'linux' && isLoopback(address.hostname)) {
    const port = Number(address.port || (address.protocol === 'https:' ? 443 : 80));
    const server = findListener(port);
    if (server) yield path.join(fs.readlinkSync(server.at('cwd')), snapshot);
  }
  yield path.resolve(snapshot);
}

const isLoopback = (host) => host === 'localhost' || host === '[::1]' || /^127\./.test(host);

function look(file) {
  try {
    fs.accessSync(file, fs.constants.R_OK);
    return fs.statSync(file);
  } catch (error) {
    return error;
  }
}

module.exports = { fromEndpoint };

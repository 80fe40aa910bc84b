'use strict';

// The inspector's protocol over a WebSocket (RFC 6455), with the backpressure that Node's own WebSocket lacks: it would
// keep a snapshot in memory as fast as it comes.

const { randomBytes } = require('node:crypto');
const http = require('node:http');

const { Problem } = require('./command.js');
const { plainly } = require('./output.js');

const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const CONTINUATION = 0;

/** @param {{host: string, port: number, path: string}} address */
function connect(address, signal) {
  return new Promise((resolve, reject) => {
    const headers = {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
      'Sec-WebSocket-Version': 13,
    };
    http
      .get({ ...address, headers, signal, agent: false })
      .on('upgrade', (response, socket, head) => resolve(new Session(socket, head)))
      .on('response', (response) => {
        response.resume();
        reject(new Problem(`the inspector answered ${response.statusCode}`));
      })
      .on('error', (error) => reject(new Problem(`cannot reach the inspector: ${plainly(error)}`)))
      .end();
  });
}

class Session {
  #socket;
  #lastId = 0;
  #source;
  #buffered;

  constructor(socket, head) {
    this.#socket = socket;
    this.#buffered = head;
    this.#source = socket[Symbol.asyncIterator]();
    // Who reads hears of it; who does not any more need not.
    socket.on('error', () => {});
  }

  /** Sends a command; its answer is among the messages. */
  post(method, params) {
    const id = ++this.#lastId;
    this.#send(TEXT, Buffer.from(JSON.stringify({ id, method, params })));
    return id;
  }

  /** What the other side sends, until it closes. */
  async *messages() {
    const pieces = [];
    for (;;) {
      const frame = await this.#frame();
      if (frame === undefined || frame.opcode === CLOSE) return;
      if (frame.opcode === PING) this.#send(PONG, frame.payload);
      if (frame.opcode !== TEXT && frame.opcode !== CONTINUATION) continue;
      pieces.push(frame.payload);
      if (!frame.last) continue;
      yield JSON.parse(Buffer.concat(pieces.splice(0)).toString());
    }
  }

  /** Waits for the other side to close. */
  async ended() {
    const messages = this.messages();
    while (!(await messages.next()).done);
  }

  close() {
    this.#send(CLOSE, Buffer.from([0x03, 0xe8]));
    this.#socket.end();
    this.#socket.destroySoon();
  }

  /** A server's frames are not masked. */
  async #frame() {
    const start = await this.#take(2);
    if (start === undefined) return undefined;
    let length = start[1] & 0x7f;
    if (length === 126) length = (await this.#take(2))?.readUInt16BE();
    else if (length === 127) length = Number((await this.#take(8))?.readBigUInt64BE());
    const payload = length === undefined ? undefined : await this.#take(length);
    return payload && { last: (start[0] & 0x80) !== 0, opcode: start[0] & 0x0f, payload };
  }

  /** The next bytes; undefined when there are no more. */
  async #take(length) {
    const pieces = [this.#buffered];
    let have = this.#buffered.length;
    while (have < length) {
      const { value, done } = await this.#source.next();
      if (done) return undefined;
      pieces.push(value);
      have += value.length;
    }
    const all = pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
    this.#buffered = all.subarray(length);
    return all.subarray(0, length);
  }

  /** A client's frames are masked. */
  #send(opcode, payload) {
    if (!this.#socket.writable) return;
    const length = payload.length;
    const head = length < 126 ? Buffer.from([0, length]) : Buffer.from([0, 126, length >> 8, length & 0xff]);
    head[0] = 0x80 | opcode;
    head[1] |= 0x80;
    const mask = randomBytes(4);
    this.#socket.write(Buffer.concat([head, mask, payload.map((byte, i) => byte ^ mask[i & 3])]));
  }
}

module.exports = { connect };

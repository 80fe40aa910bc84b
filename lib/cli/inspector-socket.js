'use strict';

// The socket that an inspector listens on: how it is recognised, reached and closed.

const http = require('node:http');
const { setTimeout: delay } = require('node:timers/promises');

const { Problem } = require('./command.js');
const { inspectorPort } = require('./inspector-port.js');
const { connect } = require('./websocket.js');

const CLOSE_LIMIT_MS = 10_000;
/** The inspector answers on a thread of its own, however busy its process is; an application's port may never. */
const PROBE_LIMIT_MS = 10_000;
const LOOK_MS = 10;

/** The inspector of one process, which opens because of us, and what is left of it when we end. */
class OpenedInspector {
  socket;
  #progress;
  #others;
  #atExit;

  constructor(target, progress) {
    this.target = target;
    this.told = inspectorPort(target);
    this.#others = new Map(target.listeners().map(({ inode }) => [inode, Infinity]));
    this.#progress = progress;
  }

  /** From here on it may open: SIGINT, SIGTERM and SIGHUP end us with a word about it (command.js). */
  expect() {
    this.#atExit = () => this.#progress.say(this.socket === undefined ? this.#mayOpen() : this.howToClose());
    process.once('exit', this.#atExit);
  }

  /** Nothing more is said at the exit. */
  leave() {
    process.removeListener('exit', this.#atExit);
  }

  /** Waits for the socket that its inspector listens on. */
  async appears(limit, signal) {
    const { target } = this;
    const deadline = performance.now() + limit;
    for (;;) {
      if (!target.isRunning()) throw new Problem(`process ${target.pid} has ended`);
      for (const socket of target.listeners()) {
        // It might listen a moment before it answers.
        const tries = this.#others.get(socket.inode) ?? 0;
        if (tries > 2) continue;
        if (await isInspector(socket)) {
          this.socket = socket;
          return;
        }
        this.#others.set(socket.inode, tries + 1);
      }
      if (signal?.aborted) throw new Problem(`the time of --timeout is over. ${this.#mayOpen()}`);
      if (performance.now() > deadline) {
        throw new Problem(
          `process ${target.pid} was sent SIGUSR1 and opened no inspector: port ${this.told.ports.at(-1)} may be another ` +
            `process', or it is busy, or it answers that signal in its own way. ${this.#mayOpen()}`,
        );
      }
      await delay(LOOK_MS);
    }
  }

  connect(signal) {
    return connectTo(this.socket, signal);
  }

  get at() {
    return `${this.socket.host.includes(':') ? `[${this.socket.host}]` : this.socket.host}:${this.socket.port}`;
  }

  /** Whether it is closed now; if not, that is said. */
  async close() {
    const closed = this.socket !== undefined && (await this.#closes());
    if (this.target.isRunning() && !closed) this.#atExit();
    this.leave();
    return closed;
  }

  /**
   * By a session that stays until the inspector ends it: one that leaves in the same moment was seen to crash Node.js 20 and 26
   * in one of five tries, and none of hundreds that stayed.
   */
  async #closes() {
    const deadline = performance.now() + CLOSE_LIMIT_MS;
    try {
      const session = await this.connect(AbortSignal.timeout(CLOSE_LIMIT_MS));
      session.post('Runtime.evaluate', { expression: 'process._debugEnd()' });
      await Promise.race([session.ended(), delay(CLOSE_LIMIT_MS, undefined, { ref: false })]);
      session.close();
    } catch {
      // Closed by somebody else, or not to be reached: what listens is looked at.
    }
    for (;;) {
      if (!this.target.isRunning()) return true;
      if (!this.target.listeners().some(({ inode }) => inode === this.socket.inode)) return true;
      if (performance.now() > deadline) return false;
      await delay(LOOK_MS);
    }
  }

  howToClose() {
    return `The inspector of process ${this.target.pid} is open on ${this.at}. ${howToClose(reachable(this.socket))}`;
  }

  #mayOpen() {
    const port = this.told.ports.at(-1);
    const where = port === 0 ? 'a port that it says on its standard error' : `port ${port}`;
    const how = howToClose({ host: '127.0.0.1', port: port || 'PORT' });
    return `Process ${this.target.pid} may still open its inspector, on ${where}. ${how}`;
  }
}

const howToClose = ({ host, port }) =>
  `To close it: node inspect ${host.includes(':') ? `[${host}]` : host}:${port}, and there: exec('process._debugEnd()')`;

/** An address that leads to a listening socket of this machine. */
function reachable({ host, port }) {
  if (host === '0.0.0.0') return { host: '127.0.0.1', port };
  return { host: /^(0:){7}0$/.test(host) ? '::1' : host, port };
}

async function firstInspector(sockets) {
  const found = await Promise.all(sockets.map(isInspector));
  return sockets[found.indexOf(true)];
}

async function isInspector(socket) {
  try {
    await debuggerUrl(socket);
    return true;
  } catch {
    return false; // The application's own port.
  }
}

const connectTo = async (socket, signal) => connect(await debuggerUrl(socket), signal);

async function debuggerUrl(socket) {
  const { host, port } = reachable(socket);
  const signal = AbortSignal.timeout(PROBE_LIMIT_MS);
  const text = await new Promise((resolve, reject) => {
    http
      .get({ host, port, path: '/json/list', agent: false, signal }, async (response) => {
        let body = '';
        try {
          for await (const chunk of response.setEncoding('utf8')) {
            body += chunk;
            if (body.length > 1e6) throw new Error('this is not the inspector of Node.js');
          }
          resolve(body);
        } catch (error) {
          reject(error);
        }
      })
      .on('error', reject);
  });
  const [{ id, type }] = JSON.parse(text);
  if (type !== 'node' || !/^[\w-]+$/.test(id)) throw new Problem('this is not the inspector of Node.js');
  return { host, port, path: `/${id}` };
}

module.exports = { OpenedInspector, connectTo, firstInspector };

// A real Node-RED: its process, its admin API and its websocket.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';

import limits from '../../harness/limits.cjs';

export async function startNodeRed({ home, user }, node) {
  const port = await freePort();
  const { NODE_OPTIONS, NODE_HEAPDUMP_OPTIONS, ...env } = process.env;
  const started = spawn(node, [join(home, 'node_modules/node-red/red.js'), '--userDir', user, '--port', `${port}`], {
    cwd: user,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const server = new Server(started, port, home);
  try {
    await server.says(/Started flows/);
    await server.connect();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

class Server {
  output = '';
  /** What the websocket has said: `{topic, data}`. */
  events = [];
  #process;
  #socket;
  #home;
  #watchers = new Set();

  constructor(started, port, home) {
    this.#process = started;
    this.#home = home;
    this.url = `http://127.0.0.1:${port}`;
    for (const stream of [started.stdout, started.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        this.output += text;
        this.#look();
      });
    }
    started.on('exit', () => this.#look());
  }

  get pid() {
    return this.#process.pid;
  }

  async connect() {
    const WebSocket = createRequire(join(this.#home, 'package.json'))('ws');
    this.#socket = new WebSocket(`${this.url.replace('http', 'ws')}/comms`);
    this.#socket.on('message', (data) => {
      for (const event of [JSON.parse(data)].flat()) this.events.push(event);
      this.#look();
    });
    await once(this.#socket, 'open');
    for (const topic of ['status/#', 'debug']) this.#socket.send(JSON.stringify({ subscribe: topic }));
  }

  async get(path, accept = 'application/json') {
    return JSON.parse(await this.text(path, accept));
  }

  async text(path, accept) {
    const response = await fetch(this.url + path, { headers: { accept } });
    assert.equal(response.status, 200, path);
    return response.text();
  }

  async post(path, body, headers = {}) {
    const response = await fetch(this.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    assert.ok(response.ok, `${path}: ${response.status} ${await response.clone().text()}`);
    return response;
  }

  /** Deploys flows and waits until they run. */
  async deploy(flows) {
    const before = this.output.match(/Started (modified )?(nodes|flows)/g)?.length ?? 0;
    await this.post('/flows', flows, { 'Node-RED-Deployment-Type': 'full' });
    await this.#until(
      'the flows',
      () => (this.output.match(/Started (modified )?(nodes|flows)/g)?.length ?? 0) > before,
    );
    this.events.length = 0;
  }

  inject(id) {
    return this.post(`/inject/${id}`, {});
  }

  /** The texts and colours of a node's statuses, up to one that `last` matches. */
  statuses(id, last) {
    return this.#until(`status ${last} of ${id}`, () => {
      const all = this.events.filter(({ topic }) => topic === `status/${id}`).map(({ data }) => data);
      const end = all.findIndex(({ text }) => last.test(text ?? ''));
      return end >= 0 && all.slice(0, end + 1);
    });
  }

  /** What a debug node shows first. */
  debug(id) {
    return this.#until(
      `a message of ${id}`,
      () => this.events.find(({ topic, data }) => topic === 'debug' && data.id === id)?.data,
    );
  }

  says(pattern) {
    return this.#until(`${pattern}`, () => pattern.exec(this.output));
  }

  async stop() {
    this.#socket?.terminate();
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), limits.WAIT);
    await ended;
    clearTimeout(timer);
  }

  #look() {
    for (const watcher of [...this.#watchers]) watcher();
  }

  #until(what, find) {
    return new Promise((resolve, reject) => {
      const fail = (why) =>
        end(
          reject,
          new Error(`${why}: ${what}\n${this.output.slice(-3000)}\n${JSON.stringify(this.events.slice(-10))}`),
        );
      const timer = setTimeout(() => fail('waited in vain'), limits.WAIT);
      const end = (settle, value) => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        settle(value);
      };
      const look = () => {
        const found = find();
        if (found) end(resolve, found);
        else if (this.#process.exitCode !== null) fail('Node-RED has ended');
      };
      this.#watchers.add(look);
      look();
    });
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

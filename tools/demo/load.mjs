// Requests to a server on this machine, a few at a time, until told to stop; and how long each one waited.

import http from 'node:http';

export class Load {
  #agent = new http.Agent({ keepAlive: true });
  #options;
  #running = true;
  #connections;
  #since = 0;
  done = 0;
  #slowest = 0;

  /** `rate` requests a second over `connections` connections to `port` of this machine, for `limit` ms at most. */
  constructor(port, { connections = 8, rate = 400, limit = 120_000 } = {}) {
    this.#options = { host: '127.0.0.1', port, agent: this.#agent };
    const pause = (1000 * connections) / rate;
    const end = performance.now() + limit;
    const connection = async () => {
      while (this.#running && performance.now() < end) {
        const start = performance.now();
        await this.#request();
        const took = performance.now() - start;
        this.done++;
        if (start >= this.#since) this.#slowest = Math.max(this.#slowest, took);
        await new Promise((resolve) => setTimeout(resolve, Math.max(0, pause - took)));
      }
    };
    this.#connections = Promise.all(Array.from({ length: connections }, connection));
  }

  /** Starts to measure anew: only requests sent from here on count. */
  reset() {
    this.#since = performance.now();
    this.#slowest = 0;
    this.done = 0;
  }

  /** The longest that a request since `reset` has waited for its answer, in ms. */
  get slowest() {
    return this.#slowest;
  }

  async stop() {
    this.#running = false;
    await this.#connections;
    this.#agent.destroy();
  }

  #request() {
    return new Promise((resolve, reject) => {
      const path = `/item/${this.done}?session=${Math.random().toString(36).slice(2)}`;
      http
        .get({ ...this.#options, path, headers: { 'user-agent': 'npm start', cookie: `sid=${this.done}` } }, (response) => {
          response.resume().on('end', resolve).on('error', reject);
        })
        // A server that has ended is the caller's to notice.
        .on('error', resolve);
    });
  }
}

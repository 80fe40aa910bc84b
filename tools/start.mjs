// npm start: what this package is for, in half a minute. A leaking server under load is dumped twice, by a forked child
// and by Node's own v8.writeHeapSnapshot, and the time that it stood still is compared.

import { fork } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

import { build } from '../harness/build.mjs';
import limits from '../harness/limits.cjs';
import { Problem, bold, dim, green, main, red, root } from '../harness/run.mjs';
import { readContents } from './demo/contents.mjs';
import { Load } from './demo/load.mjs';

/** So many sessions leak before the first snapshot: with them Node's own takes a few seconds. */
const SESSIONS = 12_000;

/** Nothing here lasts so long unless something is wrong. */
const LIMIT_MS = limits.WAIT;

const MB = 1024 * 1024;
const mb = (bytes) => `${(bytes / MB).toFixed(1)} MB`;
const ms = (value) => (value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${value.toFixed(1)} ms`);
const number = (value) => value.toLocaleString('en-US');

/** The server in a process of its own. */
class Server {
  #child = fork(join(root, 'tools/demo/server.mjs'), { cwd: root, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  #limit = setTimeout(() => this.#child.kill('SIGKILL'), LIMIT_MS);

  get pid() {
    return this.#child.pid;
  }

  async port() {
    return (await this.#message()).port;
  }

  /** Lets the server take a snapshot in this way; gives what it measured. */
  async dump(way, file, onProgress = () => {}) {
    this.#child.send({ way, file });
    for (;;) {
      const { progress, result, error } = await this.#message();
      if (error) throw new Problem(`the snapshot failed: ${error}`);
      if (result) return result;
      onProgress(progress);
    }
  }

  stop() {
    clearTimeout(this.#limit);
    this.#child.kill();
  }

  #message() {
    return new Promise((resolve, reject) => {
      const ended = (code, signal) => reject(new Problem(`the server ended (${signal ?? `status ${code}`})`));
      this.#child.once('exit', ended);
      this.#child.once('message', (message) => {
        this.#child.off('exit', ended);
        resolve(message);
      });
    });
  }
}

/** One line that is replaced by the next, on a terminal; nothing elsewhere. */
function status(text) {
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${dim(text)}`);
}

const told = (progress) => {
  const part = progress.total > 0 ? ` ${Math.min(100, Math.round((100 * progress.done) / progress.total))} %` : '';
  return progress.stage === 'writing' ? `writing, ${mb(progress.bytes)}` : `${progress.stage}${part}`;
};

async function leak(load) {
  while (load.done < SESSIONS) {
    status(`  the server leaks: ${number(load.done)} of ${number(SESSIONS)} sessions`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  status('');
}

async function compare(server, load) {
  const fileOf = (way) => join(root, `.cache/start/${way}.heapsnapshot`);
  const measure = async (way, onProgress) => {
    load.reset();
    const measured = await server.dump(way, fileOf(way), onProgress);
    // Requests that were sent while the server stood still are answered now.
    await new Promise((resolve) => setTimeout(resolve, 50));
    return { ...measured, file: fileOf(way), answered: load.done, slowest: load.slowest };
  };
  const forked = await measure('fork', (progress) => status(`  the child is at work: ${told(progress)}`));
  status('  now v8.writeHeapSnapshot: the server stands still …');
  const inProcess = await measure('v8');
  status('');
  return { forked, inProcess };
}

function show({ forked, inProcess }) {
  const row = (name, a, b) => console.log(`  ${name.padEnd(34)}${a.padStart(14)}${b.padStart(24)}`);
  row('', 'heapdump-rs', 'v8.writeHeapSnapshot');
  row('event loop stood still for', green(bold(ms(forked.stall).padStart(14))), red(bold(ms(inProcess.stall).padStart(24))));
  row('requests answered meanwhile', number(forked.answered), number(inProcess.answered));
  row('slowest of them', ms(forked.slowest), ms(inProcess.slowest));
  row('time until the file was complete', ms(forked.took), ms(inProcess.took));
  row('file', mb(statSync(forked.file).size), mb(statSync(inProcess.file).size));
  console.log(`\n  The server stood still ${bold(`${Math.round(inProcess.stall / forked.stall)} times shorter`)}.`);
}

function showContents(file) {
  const { nodes, edges, strings, classes } = readContents(file);
  console.log(`\n${bold(relative(process.cwd(), file) || file)}  ${mb(statSync(file).size)}`);
  console.log(`  ${number(nodes)} nodes, ${number(edges)} edges, ${number(strings)} strings. Largest by their own size:\n`);
  const largest = classes.slice(0, 8);
  // What the example leaks shows by its count.
  for (const name of ['Session', 'CartItem']) {
    const row = classes.find((row) => row.name === name);
    if (row && !largest.includes(row)) largest.push(row);
  }
  for (const { name, count, self } of largest) {
    const leaked = name === 'Session' || name === 'CartItem' ? '  ← the leak' : '';
    console.log(`  ${number(count).padStart(11)} ×  ${name.slice(0, 32).padEnd(32)} ${mb(self).padStart(10)}${leaked}`);
  }
  console.log('\n  Open it in Chrome: DevTools (F12) → Memory → Load profile.');
  console.log(dim('  It holds whatever was in memory, secrets included: do not pass it on.'));
}

await main(async () => {
  await build();
  mkdirSync(join(root, '.cache/start'), { recursive: true });
  const server = new Server();
  let load;
  try {
    const port = await server.port();
    console.log(`\n${bold('A leaking HTTP server under load')}  ${dim(`Node.js ${process.version}, pid ${server.pid}, port ${port}`)}\n`);
    load = new Load(port, { rate: 2500, limit: LIMIT_MS });
    await leak(load);
    const results = await compare(server, load);
    show(results);
    showContents(results.forked.file);
  } finally {
    server.stop();
    await load?.stop();
  }
});

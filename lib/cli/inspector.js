'use strict';

// A snapshot of a process that has not loaded the package: through Node's inspector, in that process, which stands still.

const http = require('node:http');
const { setTimeout: delay } = require('node:timers/promises');

const { Problem, printable, size } = require('./command.js');
const { connect } = require('./websocket.js');

const OPEN_LIMIT_MS = 30_000;

/** @param {import('./processes.js').Target} target */
async function byInspector(target, output, progress, signal) {
  if (!target.sharesNetwork()) {
    throw new Problem(
      `process ${target.pid} is in a network of its own (a container), where its inspector cannot be reached from here: ` +
        'run this inside of it, or load heapdump-rs in the application',
    );
  }
  const { port, opened } = await openPort(target);
  progress.say(
    `warning: process ${target.pid} does not answer a signal for heapdump-rs. Its inspector takes the snapshot: ` +
      'the process stands still until that is done.',
  );
  let session;
  try {
    session = await connect(await debuggerUrl(port), signal);
    return await output.receive(
      chunks(session, target, progress),
      (bytes) => progress.show(`${size(bytes)} written`),
      signal,
    );
  } finally {
    session?.close();
    // `inspector.close()` would close it, but Node.js 20 was seen to crash of that, once in six times.
    if (opened)
      progress.say(`Its inspector stays open on ${port.host}:${port.port}, for this machine alone, until it ends.`);
  }
}

/** The process' inspector port: the one that it has, or the one that SIGUSR1 opens. It must be its own. */
async function openPort(target) {
  const wanted = inspectPort(target.nodeOptions());
  const before = target.listeners();
  const known = await firstInspector(before.filter(({ port }) => wanted.port === 0 || port === wanted.port));
  if (known !== undefined) return { port: known, opened: false };
  const refused = whyNoSignal(target, wanted);
  if (refused !== undefined) throw new Problem(refused);

  const inodes = new Set(before.map(({ inode }) => inode));
  process.kill(target.pid, 'SIGUSR1');
  const deadline = performance.now() + OPEN_LIMIT_MS;
  for (;;) {
    if (!target.isRunning()) throw new Problem(`process ${target.pid} has ended`);
    const port = await firstInspector(
      target.listeners().filter(({ host, inode }) => !inodes.has(inode) && isLoopback(host)),
    );
    if (port !== undefined) return { port, opened: true };
    if (performance.now() > deadline) {
      // The application may have opened it by itself, on a port of its choice.
      const own = await firstInspector(before);
      if (own !== undefined) return { port: own, opened: false };
      throw new Problem(
        `process ${target.pid} was sent SIGUSR1 and opened no inspector: port ${wanted.port} may be another process', ` +
          'or it is stopped, or it answers that signal in its own way',
      );
    }
    await delay(10);
  }
}

/** SIGUSR1 ends a process that does not catch it, and some have given it another meaning. */
function whyNoSignal(target, wanted) {
  const options = target.nodeOptions();
  const state = target.stat().state;
  const who = `process ${target.pid}`;
  if (options.includes('--disable-sigusr1')) return `${who} was started with --disable-sigusr1: it opens no inspector`;
  if (!target.catches('SIGUSR1')) return `${who} does not answer SIGUSR1: it opens no inspector`;
  if (options.includes('--heapsnapshot-signal=SIGUSR1')) {
    return `${who} writes a snapshot of its own on SIGUSR1, which opens no inspector`;
  }
  if (state === 'T' || state === 't') return `${who} is stopped (SIGSTOP, or a debugger): let it continue`;
  if (isLoopback(wanted.host)) return undefined;
  return `${who} would open its inspector on ${printable(wanted.host)}, where others could reach it`;
}

/** `--inspect[-…][=[host:]port]`, as Node reads it; the last one counts. */
function inspectPort(options) {
  const found = { host: '127.0.0.1', port: 9229 };
  for (const option of options) {
    const value = /^--(?:inspect(?:-brk|-wait|-port)?|debug-port)=(.+)$/.exec(option)?.[1];
    if (value === undefined) continue;
    const [, host, port] = /^(?:(.*):)?(\d+)$/.exec(value) ?? [undefined, value, undefined];
    if (host) found.host = host;
    if (port !== undefined) found.port = Number(port);
  }
  return found;
}

const isLoopback = (host) =>
  host === 'localhost' || host === '0:0:0:0:0:0:0:1' || host === '[::1]' || host === '::1' || /^127\./.test(host);

/** An address that leads to a listening socket of this machine. */
function reachable({ host, port }) {
  if (host === '0.0.0.0') return { host: '127.0.0.1', port };
  return { host: /^(0:){7}0$/.test(host) ? '::1' : host, port };
}

async function firstInspector(sockets) {
  for (const socket of sockets) {
    try {
      await debuggerUrl(socket);
      return socket;
    } catch {
      // The application's own port.
    }
  }
  return undefined;
}

async function debuggerUrl(socket) {
  const { host, port } = reachable(socket);
  const text = await new Promise((resolve, reject) => {
    http
      .get({ host, port, path: '/json/list', agent: false, timeout: OPEN_LIMIT_MS }, async (response) => {
        let body = '';
        try {
          for await (const chunk of response.setEncoding('utf8')) body += chunk;
          resolve(body);
        } catch (error) {
          reject(error);
        }
      })
      .on('timeout', function () {
        this.destroy(new Error('no answer'));
      })
      .on('error', reject);
  });
  const [{ id, type }] = JSON.parse(text);
  if (type !== 'node' || !/^[\w-]+$/.test(id)) throw new Problem('this is not the inspector of Node.js');
  return { host, port, path: `/${id}` };
}

/** The snapshot's text as it comes. */
async function* chunks(session, target, progress) {
  const id = session.post('HeapProfiler.takeHeapSnapshot', { reportProgress: true });
  for await (const message of session.messages()) {
    const { method, params } = message;
    if (method === 'HeapProfiler.addHeapSnapshotChunk') {
      yield Buffer.from(params.chunk);
    } else if (method === 'HeapProfiler.reportHeapSnapshotProgress') {
      if (params.total > 0)
        progress.show(`V8 takes the snapshot: ${Math.min(100, Math.floor((100 * params.done) / params.total))} %`);
    } else if (message.id === id) {
      if (message.error)
        throw new Problem(`the inspector of process ${target.pid} refused: ${printable(message.error.message)}`);
      return;
    }
  }
  throw new Problem(`process ${target.pid} closed its inspector: it may have ended, for lack of memory for instance`);
}

module.exports = { byInspector };

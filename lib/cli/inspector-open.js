'use strict';

// The inspector of another process: found, or opened by SIGUSR1 where it is known to open on loopback, and closed again.

const { Problem, printable } = require('./command.js');
const { read } = require('./command-line.js');
const { inspectorPort, isLoopback } = require('./inspector-port.js');
const { OpenedInspector, connectTo, firstInspector } = require('./inspector-socket.js');
const { Tree, isClusterWorker } = require('./tree.js');

const OPEN_LIMIT_MS = 30_000;
/** Its signal was sent when the primary's inspector had opened. */
const WORKER_LIMIT_MS = 10_000;

/**
 * The process' inspector: the one that it has, or the one that SIGUSR1 opens. It must be its own.
 * @param {import('./processes.js').Target} target
 * @param {boolean} trusted whether its user says that its inspector opens on loopback
 */
async function openInspector(target, trusted, progress, signal) {
  const told = inspectorPort(target);
  const before = target.listeners();
  const anyPort = told.doubt !== undefined || told.ports.includes(0);
  const known = await firstInspector(before.filter(({ port }) => anyPort || told.ports.includes(port)));
  if (known !== undefined) return { connect: (signal) => connectTo(known, signal), close() {} };

  // A cluster's primary hands the signal to its workers (lib/internal/cluster/primary.js, NODE_DEBUG_ENABLED).
  const workers = new Tree().below(target.pid).filter((node) => node.above === target.pid && isClusterWorker(node.target));
  const all = [target, ...workers.map((node) => node.target)].map((each) => new OpenedInspector(each, progress));
  for (const { target: each, told } of all) {
    const refused = whyNoSignal(each) ?? whyNotCertain(each, told, trusted);
    if (refused === undefined) continue;
    if (each === target) throw new Problem(refused);
    throw new Problem(`${refused}. It is a cluster worker of process ${target.pid}, which would hand the signal to it`);
  }
  const [own, ...others] = all;
  process.kill(target.pid, 'SIGUSR1');
  for (const each of all) each.expect();
  try {
    await own.appears(OPEN_LIMIT_MS, signal);
  } catch (error) {
    own.leave();
    await Promise.all(others.map((other) => closeUnused(other, 0)));
    throw error;
  }
  const ownIsSafe = isLoopback(own.socket.host);
  const closed = await Promise.all([
    ownIsSafe || own.close(),
    ...others.map((other) => closeUnused(other, WORKER_LIMIT_MS, signal)),
  ]);
  const at = all.findIndex(({ socket }) => socket !== undefined && !isLoopback(socket.host));
  if (at < 0) return { connect: (signal) => own.connect(signal), close: () => own.close() };
  if (ownIsSafe) await own.close();
  const where = `process ${all[at].target.pid} opened its inspector on ${all[at].at}, where others can reach it`;
  if (!closed[at]) throw new Problem(`${where}, and could not be closed`);
  throw new Problem(`${where}: it was closed at once, and no snapshot was taken. ${WHAT_TO_DO}`);
}

/** Closes a worker's inspector, which nobody asked for, as soon as it has opened. */
async function closeUnused(worker, limit, signal) {
  await worker.appears(limit, signal).catch(() => {});
  return worker.close();
}

/** SIGUSR1 ends a process that does not catch it, and some have given it another meaning. */
function whyNoSignal(target) {
  const options = target.nodeOptions();
  const state = target.stat().state;
  const who = `process ${target.pid}`;
  if (options.includes('--disable-sigusr1')) return `${who} was started with --disable-sigusr1: it opens no inspector`;
  if (!target.catches('SIGUSR1')) return `${who} does not answer SIGUSR1: it opens no inspector`;
  for (const { name, value, next } of read(options)) {
    if (name === '--heapsnapshot-signal' && (value ?? next) === 'SIGUSR1')
      return `${who} writes a snapshot of its own on SIGUSR1, which opens no inspector`;
  }
  if (options.some((option) => /^--(experimental-)?permission$/.test(option)) && !options.includes('--allow-inspector'))
    return `${who} runs under Node's permission model without --allow-inspector: it opens no inspector`;
  if (state === 'T' || state === 't') return `${who} is stopped (SIGSTOP, or a debugger): let it continue`;
  return undefined;
}

const WHAT_TO_DO = 'Load heapdump-rs in the application, or start it with --inspect-port=127.0.0.1:0 and no other host';

function whyNotCertain(target, { host, where, doubt }, trusted) {
  if (host !== undefined) {
    return (
      `process ${target.pid} would open its inspector on ${printable(host)} (so says ${where}), where others could reach it. ` +
      WHAT_TO_DO
    );
  }
  if (doubt === undefined || trusted) return undefined;
  return (
    `where process ${target.pid} would open its inspector is not certain: ${doubt}. Whoever reached it could run code in that ` +
    'process. Load heapdump-rs in the application, or ask an --endpoint of it; if you know that it was given no host but this ' +
    'machine, say --assume-loopback'
  );
}

module.exports = { openInspector };

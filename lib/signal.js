'use strict';

// SIGUSR2 is native: `process.listenerCount('SIGUSR2')` stays 0 (but see `standBeside`), and a busy JavaScript thread answers
// too. This file holds what JavaScript has to say about it; index.js installs it.

const path = require('node:path');
const { debuglog } = require('node:util');

const { toError } = require('./errors.js');
const { toReport, publish } = require('./report.js');

const debug = debuglog('heapdump');

/**
 * Says what in NODE_HEAPDUMP_OPTIONS means nothing, and takes the signal over from Node: under
 * `--heapsnapshot-signal=SIGUSR2` Node has added a listener that dumps in process (`doWriteHeapSnapshot` in its
 * lib/internal/process/pre_execution.js). One signal is to give one file, and ours does not stop the process.
 * Returns what Node's permission model, where it is in force, says of the directory for dumps.
 */
function prepare({ signal, unrecognized, directory = '.' }) {
  for (const option of unrecognized) process.stderr.write(`node-heapdump: unrecognized option: ${option}\n`);
  if (signal === undefined) return undefined;
  for (const listener of process.listeners(signal)) {
    // Once ours is installed: in between the signal would end the process.
    if (listener.name === 'doWriteHeapSnapshot') process.nextTick(() => process.removeListener(signal, listener));
  }
  if (process.permission === undefined) return undefined;
  const target = path.resolve(directory);
  return { directory: target, granted: process.permission.has('fs.write', target) };
}

/**
 * signal-exit counts who else listens, by `process.listeners`. It sees nobody there, takes the signal for the end of the
 * process, runs everybody's exit hooks and sends it again. So where it is loaded the list says that somebody answers. Called
 * when something listens, before or after this package was loaded: elsewhere nothing changes, and no listener of Node's
 * keeps a process alive (`startListeningIfSignal` of its lib/internal/process/signal.js).
 */
function standBeside(signal) {
  // Of version 3, and of version 4.
  const loaded = process.__signal_exit_emitter__ ?? globalThis[Symbol.for('signal-exit emitter')];
  if (loaded === undefined || standing || process.listeners(signal).includes(answeredNatively)) return;
  // To add it is to be told of it.
  standing = true;
  process.on(signal, answeredNatively);
  standing = false;
}

let standing = false;
function answeredNatively() {}

/** For whoever listens; a failure has been said on standard error (src/snapshot/announce.rs), for the person who looks for a file. */
function tell(signal, event) {
  if (event.error) {
    const error = toError(event.error);
    publish('error', { error, path: error.path, signal });
  } else {
    const report = toReport(event.report);
    debug('%s: %j', signal, report);
    publish('end', { report, signal });
  }
}

/** Says that the signal does nothing here, before somebody sends it and it ends the process. */
function warnOfRuntime(signal) {
  const { bun, deno } = process.versions;
  process.emitWarning(
    `${bun ? `Bun ${bun}` : `Deno ${deno}`} has no libuv to watch ${signal} with, so that signal takes no snapshot; ` +
      'calls take it in process. NODE_HEAPDUMP_OPTIONS=nosignal silences this.',
    { type: 'HeapdumpWarning' },
  );
}

module.exports = { prepare, standBeside, tell, warnOfRuntime };

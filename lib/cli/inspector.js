'use strict';

// A snapshot of a process that has not loaded the package: through Node's inspector, in that process, which stands still.

const { setTimeout: delay } = require('node:timers/promises');

const { Problem, printable, size } = require('./command.js');
const { openInspector } = require('./inspector-open.js');

/** V8's snapshot is waited for before its session is left; a process that is stopped meanwhile is not. */
const LEAVE_LIMIT_MS = 600_000;

/**
 * @param {import('./processes.js').Target} target
 * @param {boolean} trusted whether its user says that its inspector opens on loopback
 */
async function byInspector(target, output, progress, signal, trusted) {
  if (output.wantsImage) {
    throw new Problem(
      `process ${target.pid} does not answer a signal for heapdump-rs, and its inspector knows no images: load the package in ` +
        'the application with NODE_HEAPDUMP_OPTIONS=image, or take a core file (gcore)',
    );
  }
  if (!target.sharesNetwork()) {
    throw new Problem(
      `process ${target.pid} is in a network of its own (a container), where its inspector cannot be reached from here: ` +
        'run this inside of it, or load heapdump-rs in the application',
    );
  }
  const inspector = await openInspector(target, trusted, progress, signal);
  progress.say(
    `warning: process ${target.pid} does not answer a signal for heapdump-rs. Its inspector takes the snapshot: ` +
      'the process stands still until that is done.',
  );
  let session;
  let text;
  try {
    session = await inspector.connect(signal);
    text = chunks(session, target, progress);
    return await output.receive(text, (bytes) => progress.show(`${size(bytes)} written`), signal);
  } finally {
    // A connection that is lost meanwhile is left already.
    await Promise.race([text?.return(), delay(LEAVE_LIMIT_MS, undefined, { ref: false })]).catch(() => {});
    session?.close();
    await inspector.close();
  }
}

/**
 * The snapshot's text as it comes. Whoever wants no more of it calls `return()`, which reads what is left: Node.js 22 was seen to
 * crash when a session ended while V8 was writing and another began.
 */
async function* chunks(session, target, progress) {
  const id = session.post('HeapProfiler.takeHeapSnapshot', { reportProgress: true });
  const messages = session.messages();
  let over = false;
  try {
    for (;;) {
      const { value: message, done } = await messages.next();
      over = done || message.id === id;
      if (done) break;
      if (message.method === 'HeapProfiler.addHeapSnapshotChunk') yield Buffer.from(message.params.chunk);
      else if (message.method === 'HeapProfiler.reportHeapSnapshotProgress') showProgress(progress, message.params);
      else if (message.error)
        throw new Problem(`the inspector of process ${target.pid} refused: ${printable(message.error.message)}`);
      if (over) return;
    }
  } finally {
    if (!over) progress.show('waiting for V8 to end its snapshot, so that the process can be left …');
    while (!over) {
      const { value: message, done } = await messages.next();
      over = done || message.id === id;
    }
  }
  throw new Problem(`process ${target.pid} closed its inspector: it may have ended, for lack of memory for instance`);
}

function showProgress(progress, { done, total }) {
  if (total > 0) progress.show(`V8 takes the snapshot: ${Math.min(100, Math.floor((100 * done) / total))} %`);
}

module.exports = { byInspector };

'use strict';

// A snapshot of a process that has not loaded the package: through Node's inspector, in that process, which stands still.

const { Problem, printable, size } = require('./command.js');
const { openInspector } = require('./inspector-open.js');

/**
 * @param {import('./processes.js').Target} target
 * @param {boolean} trusted whether its user says that its inspector opens on loopback
 */
async function byInspector(target, output, progress, signal, trusted) {
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
  try {
    session = await inspector.connect(signal);
    return await output.receive(
      chunks(session, target, progress),
      (bytes) => progress.show(`${size(bytes)} written`),
      signal,
    );
  } finally {
    session?.close();
    await inspector.close();
  }
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

'use strict';

// The runtime's side of the node `heap-dump`: a drop-in for that of node-red-contrib-heap-dump. Texts of statuses are
// English, because flows compare them; the editor translates what it shows (the last keys of locales/*/heap-dump.json).

const fs = require('node:fs');
const path = require('node:path');

/** The last report of each node, by its id. */
const reports = new Map();

module.exports = function (RED) {
  function HeapDumpNode(config) {
    RED.nodes.createNode(this, config);
    // A dump that is under way when the node is removed or deployed anew has nobody left to tell.
    const closing = new AbortController();
    const show = (fill, text) => closing.signal.aborted || this.status({ fill, shape: 'dot', text });

    this.on('input', async (msg, send, done) => {
      try {
        show('blue', 'Analyzing');
        const directory = await prepare(config.directory || msg.directory, config.createDir === true);
        show('blue', 'Creating dump');
        const file = await dump(directory, { signal: closing.signal, redact: msg.redact, encryptTo: msg.encryptTo });
        if (config.report === true) msg.report = await this.report(file, show);
        show('blue', file);
        this.log(`Heap dump has been written to ${file}`);
        msg.payload = file;
        send(msg);
        done();
      } catch (error) {
        if (closing.signal.aborted) return done();
        show('red', error.status ?? 'Dump failed');
        done(error);
      }
    });

    this.on('close', (removed, done) => {
      closing.abort();
      if (removed) reports.delete(this.id);
      done();
    });

    /** Its path; undefined where none could be made, of which the log tells: the dump is there all the same. */
    this.report = async (file, show) => {
      show('blue', 'Creating report');
      try {
        const report = await require('heapdump-rs/promises').leaveReport(file);
        reports.set(this.id, report);
        return report;
      } catch (error) {
        this.warn(error.message);
        return undefined;
      }
    };
  }

  RED.nodes.registerType('heap-dump', HeapDumpNode);

  // For the link in the node's dialog.
  RED.httpAdmin?.get('/heap-dump/:id/report', RED.auth.needsPermission('heap-dump.read'), (request, response) => {
    const report = reports.get(request.params.id);
    if (report === undefined || !fs.existsSync(report)) return response.sendStatus(404);
    response.set({ 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff', 'Content-Security-Policy': 'sandbox allow-scripts' });
    // Not `sendFile`: a directory whose name begins with a dot is as good as another.
    fs.createReadStream(report).on('error', () => response.destroy()).pipe(response);
  });
};

/** The directory as an absolute path, once it is there. */
async function prepare(directory, create) {
  if (!directory) {
    throw failure('No directory', 'When no directory specified in node config, it should be specified in msg.directory');
  }
  if (typeof directory !== 'string') throw failure('Invalid directory', 'The directory must be a string');
  const exists = await fs.promises.stat(directory).then(() => true, () => false);
  if (!exists && !create) {
    throw failure('Invalid directory', "The directory doesn't exist, and the node config specifies not to create it");
  }
  try {
    await fs.promises.mkdir(directory, { recursive: true });
  } catch (error) {
    throw failure('Directory failed', `Error creating directory: ${error.message}`, error);
  }
  return path.resolve(directory);
}

let last = 0;

/** `<Date.now()>.heapsnapshot`, but never a name that was given before or is taken. */
async function dump(directory, options) {
  const now = () => path.join(directory, `${last}.heapsnapshot`);
  last = Math.max(Date.now(), last + 1);
  while (fs.existsSync(now())) last++;
  const file = now();
  try {
    // Not the main entry, which would answer SIGUSR2; when it is needed, so that flows run where it cannot be loaded.
    const { path: written } = await require('heapdump-rs/promises').writeSnapshot(file, options);
    return written;
  } catch (error) {
    throw failure('Dump failed', `Error creating heap dump: ${error.message}`, error);
  }
}

function failure(status, message, cause) {
  return Object.assign(new Error(message, { cause }), { status, code: cause?.code });
}

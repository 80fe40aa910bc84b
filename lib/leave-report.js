'use strict';

// A report beside a snapshot, made by another process: the addon starts it, when and as long as there is memory for it.

const fs = require('node:fs');
const path = require('node:path');

const { addon } = require('./native.js');

/** What reports can be made of: an image would have to be restored, and what is encrypted cannot be read here. */
const SNAPSHOT = /\.heapsnapshot(?:\.gz|\.zst)?$/;
const PROGRAM = path.join(__dirname, 'viewer', 'leave.js');
/** Measured with `report`: 63 MB for 46,000 objects, 420 MB for 3.3 million, all in all. */
const LEAST_BYTES = 64 * 2 ** 20;
const BYTES_AN_OBJECT = 160;
/** Where nobody has counted the objects: of a file, and of one that is compressed. */
const OF_A_FILE = 2;
const OF_COMPRESSED = 20;

/** `heap-rss-17.report.html` of `heap-rss-17.heapsnapshot.gz`; undefined for what has none. */
function reportName(snapshot) {
  return SNAPSHOT.test(snapshot) ? snapshot.replace(SNAPSHOT, '.report.html') : undefined;
}

/**
 * Has a report made of snapshots, the earliest first. `nodes`: the objects in them, where that is known.
 * Rejects with ERR_HEAPDUMP_NO_REPORT; `isLater` says that there was no room for it now.
 * @param {string[]} snapshots absolute
 * @param {string} output absolute
 */
function leaveReport(snapshots, output, { nodes } = {}) {
  return new Promise((resolve, reject) => {
    const why = impossible();
    if (why) return reject(noReport(output, why));
    const program = {
      executable: Buffer.from(process.execPath),
      // A heap of V8's own is small: the analyzer is not in it.
      arguments: ['--no-warnings', '--max-old-space-size=256', PROGRAM, ...snapshots, output],
      environment: environment(),
      directory: Buffer.from(path.dirname(output)),
      needs: LEAST_BYTES + (nodes === undefined ? sizesOf(snapshots) : nodes * BYTES_AN_OBJECT),
    };
    addon.runBeside(program, ({ end, message }) => {
      if (end === 'done') resolve(output);
      else reject(noReport(output, message, end === 'noRoom'));
    });
  });
}

/** Why no process of ours can be started here. */
function impossible() {
  // Native code is not stopped by Node's permission model, so it is asked.
  if (process.permission !== undefined && !process.permission.has('child')) return 'Node.js may start no process (--allow-child-process)';
  // Its executable is the application, which is not to start twice.
  if (isSingleExecutable()) return 'a single executable has no Node.js to make it with';
  if (!fs.existsSync(PROGRAM)) return `${PROGRAM} is not there: what bundles the application has left it out`;
  return undefined;
}

function isSingleExecutable() {
  try {
    // Not by a plain `require`: Node.js before 20.12 has none.
    return process.getBuiltinModule ? process.getBuiltinModule('node:sea')?.isSea() === true : require('node:sea').isSea();
  } catch {
    return false;
  }
}

/** Nothing of what Node.js is told by it is meant for another process: not our own words either. */
function environment() {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('NODE_'));
  if (process.versions.electron) kept.push(['ELECTRON_RUN_AS_NODE', '1']);
  return kept;
}

function sizesOf(snapshots) {
  const times = (file) => (/\.(gz|zst)$/.test(file) ? OF_COMPRESSED : OF_A_FILE);
  return snapshots.reduce((sum, file) => sum + times(file) * (fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0);
}

function noReport(output, why, isLater = false) {
  const error = new Error(`no report ${path.basename(output)}: ${why}`);
  return Object.assign(error, { code: 'ERR_HEAPDUMP_NO_REPORT', path: output, isLater });
}

module.exports = { leaveReport, reportName };

'use strict';

// What the two halves of `doctor` have in common: findings, and what they say of signals, files and numbers.

const fs = require('node:fs');
const path = require('node:path');

const { misfit } = require('../limits.js');
const { printable, size } = require('./command.js');
const { LEAST_TIMES, MOST_TIMES, imageNeeds } = require('./memory.js');
const { plainly } = require('./output.js');
const { Target } = require('./processes.js');

/** CPU time of fork(2): it copies page tables. Measured; see docs/measured.md. */
const FORK_MS_PER_MB = 0.12;
/** Without this much no child begins (src/snapshot/budget.rs). */
const LEAST_BUDGET = 24 * 1024 * 1024;

const good = (check, text) => ({ check, state: 'good', text });
const warning = (check, text) => ({ check, state: 'warning', text });
const bad = (check, text) => ({ check, state: 'bad', text });

/** `seen` is where we see the directory `name` of the process, `why` who said that it is this one. */
function files(name, seen, target, why) {
  const shown = printable(name);
  if (target?.nodeOptions().some((option) => /^--(experimental-)?permission$/.test(option))) {
    return warning(
      'files',
      `${shown}: Node's permission model is on; it takes --allow-addons and --allow-fs-write=${shown}`,
    );
  }
  const set = `set NODE_HEAPDUMP_OPTIONS=dir=PATH${why === undefined ? '' : ` (now it is ${why})`}`;
  try {
    if (!fs.statSync(seen).isDirectory()) return bad('files', `${shown} is no directory: ${set}`);
    fs.accessSync(seen, fs.constants.W_OK | fs.constants.X_OK);
  } catch (error) {
    return bad('files', `dumps of the signal cannot go to ${shown}: ${plainly(error)}; ${set}`);
  }
  if (target !== undefined && !mayWrite(target, fs.statSync(seen))) {
    return bad('files', `dumps of the signal cannot go to ${shown}: its user may not write there; ${set}`);
  }
  const { bavail, bsize } = fs.statfsSync(seen);
  const place = why === undefined ? shown : `${shown} (${why})`;
  const text = `dumps of the signal go to ${place}, where ${size(bavail * bsize)} are free`;
  const wanted = 2 * (target?.memory('RssAnon') ?? 0);
  if (bavail * bsize < wanted) {
    return warning('files', `${text}: a file may be twice the heap; make room, or set NODE_HEAPDUMP_OPTIONS=gzip`);
  }
  return good('files', text);
}

/** A list of nothing where V8's heap, the control group and a snapshot fit together. */
function limits(found) {
  const text = found.group && misfit(found);
  return text === undefined ? [] : [warning('limits', text)];
}

/**
 * What a heap image would take of a process: `found` is its headroom, `told` what its dumps are. Nothing where there are no images.
 */
function image(target, found, { output = 'snapshot', lowMemory = 'error' } = {}) {
  if (process.platform !== 'linux' || found === undefined) return [];
  if (process.arch !== 'x64') return [good('image', "heap images (output: 'image') are written on Linux x64 alone")];
  const needs = imageNeeds(target.memory('RssAnon'), target.memory('VmPTE'));
  const takes =
    `a heap image takes about ${size(target.memory('VmRSS'))} on the disk, an eighth with zstd, ` +
    `and ${size(needs)} of the ${size(found.available)} below ${found.bound}, whatever V8's heap`;
  const state =
    output === 'image' ? 'dumps of the signal are images' :
    lowMemory === 'image' ? 'dumps of the signal are images where memory is short' :
    'off unless asked for (NODE_HEAPDUMP_OPTIONS=low-memory=image)';
  const text = `${takes}; ${state}: it holds all memory of the process`;
  return [found.available < needs ? warning('image', `${text}; too little is left even for that: raise the limit`) : good('image', text)];
}

/** As the kernel decides it for another user, access control lists apart. */
function mayWrite(target, { uid, gid, mode }) {
  const own = Number(target.status('Uid').split(/\s+/)[1]);
  if (own === 0) return true;
  const groups = [target.status('Gid').split(/\s+/)[1], ...target.status('Groups').split(/\s+/)]
    .filter(Boolean)
    .map(Number);
  const shift = own === uid ? 6 : groups.includes(gid) ? 3 : 0;
  return ((mode >> shift) & 3) === 3;
}

const nodeSignal = (options, signal) =>
  options.includes(`--heapsnapshot-signal=${signal}`)
    ? ` (which then answers instead of --heapsnapshot-signal=${signal})`
    : '';

const nodemon = () =>
  warning(
    'signal',
    'nodemon restarts by SIGUSR2, which dumps instead: start it with --signal SIGTERM, ' +
      'or set NODE_HEAPDUMP_OPTIONS=signal=SIGHUP',
  );

const groupNote = ({ oomGroup }) =>
  oomGroup ? '; memory.oom.group is set, so the memory that the application has counts twice' : '';

const growth = () => `it grows by about ${FORK_MS_PER_MB} ms a MB, and several times that where the machine is busy`;

/** Whether a process that is called so started it, directly or by way of a shell. */
function under(target, name) {
  let now = target;
  for (let i = 0; i < 4 && now !== undefined; i++) {
    if (now.commandLine().some((word) => path.basename(word).replace(/\.js$/, '') === name)) return true;
    now = tryTarget(now.stat().parent);
  }
  return false;
}

function tryTarget(pid) {
  try {
    return new Target(pid);
  } catch {
    return undefined;
  }
}

module.exports = {
  FORK_MS_PER_MB,
  LEAST_BUDGET,
  LEAST_TIMES,
  MOST_TIMES,
  bad,
  files,
  good,
  groupNote,
  growth,
  image,
  limits,
  nodeSignal,
  nodemon,
  tryTarget,
  under,
  warning,
};

'use strict';

// `node --require heapdump-rs/register app.js`, or `--import`: what NODE_HEAPDUMP_OPTIONS asks for, without touching the
// application. Whatever is wrong with it is a line on standard error, and the application starts.

const { isMainThread } = require('node:worker_threads');

/** A process has them once; a worker watches its own heap alone. */
const OF_THE_PROCESS = ['rss', 'cgroup', 'every'];

try {
  if (!inPackageManager()) register();
} catch (error) {
  say(`nothing is watched: ${error.message.split('\n', 1)[0]}`);
}

/** `NODE_OPTIONS` of an image reach npm, yarn and corepack too: what they run is the application, they are not. */
function inPackageManager() {
  const { program, isPackageManager } = require('./program.js');
  const script = program();
  return script !== undefined && isPackageManager(script);
}

function register() {
  const { heap } = require('./native.js');
  const { announce, automatic, fallbackInline, unrecognized, ...words } = heap.options();
  // As the main entry says it, which is not loaded here: it alone installs the signal.
  if (isMainThread) for (const option of unrecognized) process.stderr.write(`node-heapdump: unrecognized option: ${option}\n`);
  // Nobody who sees the application's code knows of these dumps.
  if (announce !== false) heap.announceDumps();
  if (automatic.length === 0) return;
  const { monitor } = require('./monitor.js');
  const { output, lowMemory, embed } = words;
  // As for the signal: gzip is for snapshots.
  const compress = output === 'image' && words.compress ? 'zstd' : words.compress;
  const options = { output, lowMemory, embed, compress, fallback: fallbackInline ? 'inline' : 'error' };
  const wanted = readSettings(automatic);
  if (!['threshold', 'external', 'growth', 'oom', ...OF_THE_PROCESS].some((name) => wanted[name] !== undefined)) return;
  monitor({ ...options, ...wanted });
  if (isMainThread && process.platform === 'linux') sayWhatDoesNotFit(wanted);
}

/** A snapshot that is asked for and will never be there. */
function sayWhatDoesNotFit({ oom, threshold }) {
  if (oom === undefined && threshold === undefined) return;
  const { misfit, watched } = require('./limits.js');
  try {
    const found = watched({ oom, threshold });
    const text = found && misfit(found);
    if (text) say(text);
  } catch {
    // Not ours to read: nothing is known of it.
  }
}

/** The words that mean something, as options of the monitor. */
function readSettings(automatic) {
  const { checkMonitorOptions } = require('./monitor-options.js');
  const wanted = {};
  for (const { name, value } of automatic) {
    if (!isMainThread && OF_THE_PROCESS.includes(name)) continue;
    const option = toOption(name, value);
    try {
      checkMonitorOptions({ [name]: option });
    } catch (error) {
      // A worker reads what the main thread has read.
      if (isMainThread) say(`NODE_HEAPDUMP_OPTIONS: ${value ? `${name}=${value}` : name} is ignored. ${error.message}`);
      continue;
    }
    wanted[name] = name === 'threshold' ? [...(wanted[name] ?? []), option] : option;
  }
  return wanted;
}

function toOption(name, value) {
  if (value === '' && ['oom', 'growth', 'report'].includes(name)) return true;
  return name === 'max' && /^\d+$/.test(value) ? Number(value) : value;
}

function say(line) {
  process.stderr.write(`heapdump-rs: ${line}\n`);
}

'use strict';

// What an application that is started here would meet.

const path = require('node:path');
const v8 = require('node:v8');

const { printable, size } = require('./command.js');
const { LEAST_BUDGET, LEAST_TIMES, MOST_TIMES, bad, good, warning } = require('./findings.js');
const { files, groupNote, growth, image, limits, nodeSignal, nodemon, tryTarget, under } = require('./findings.js');
const { childBudget, groupLimits, headroom } = require('./memory.js');
const { cores } = require('./cores.js');
const { Target } = require('./processes.js');

const ERRORS = 'https://github.com/heapdump-rs/heapdump-rs/blob/main/docs/errors.md';

/** A child is really forked. */
async function lookHere() {
  const attempt = await tryFork();
  const target = process.platform === 'linux' ? new Target(process.pid) : undefined;
  const parent = process.platform === 'linux' ? tryTarget(process.ppid) : undefined;
  const nodeOptions = (process.env.NODE_OPTIONS ?? '').split(/\s+/).filter(Boolean);
  const options = attempt.options ?? DEFAULTS;
  const directory = path.resolve(options.directory ?? '.');
  return [
    attempt.finding,
    ...(target === undefined ? [] : [memoryHere(target), ...image(target, headroom(target), options), ...limitsHere(target)]),
    signalHere(options.signal, nodeOptions, parent),
    files(directory, directory, undefined, whose(options)),
    ...(target === undefined ? [] : cores(target)),
    ...(attempt.report === undefined
      ? []
      : [good('pause', `${attempt.report.pause.toFixed(1)} ms for this small process; ${growth()}`)]),
  ];
}

/** Of NODE_HEAPDUMP_OPTIONS, which the addon reads. */
const DEFAULTS = { signal: 'SIGUSR2' };

async function tryFork() {
  const platform = `Node.js ${process.versions.node}, ${process.platform}-${process.arch}`;
  let addon;
  try {
    addon = require('../promises.js');
  } catch (error) {
    return {
      finding: bad('fork', printable(error.message.split('\n', 1)[0])),
    };
  }
  const options = require('../native.js').heap.options();
  if (process.platform !== 'linux') {
    return {
      options,
      finding: warning('fork', `${platform}: only Linux has it; snapshots are taken in process, which stands still`),
    };
  }
  try {
    const report = await addon.writeSnapshot('/dev/null', { mode: 'fork' });
    return {
      options,
      report,
      finding: good(
        'fork',
        `a child took a snapshot of this process in ${Math.round(report.duration)} ms (${platform})`,
      ),
    };
  } catch (error) {
    return {
      options,
      finding: bad(
        'fork',
        `${printable(error.message)} (${error.code}, ${platform}); what to do: ${ERRORS}`,
      ),
    };
  }
}

function memoryHere(target) {
  const found = headroom(target);
  if (found === undefined) return bad('memory', 'nothing can be read of it in /proc: mount it');
  const budget = childBudget(found, 0);
  const text =
    `${size(found.available)} are left below ${found.bound}: ` +
    `enough for a heap of ${size(budget / MOST_TIMES)} to ${size(budget / LEAST_TIMES)}`;
  return budget < LEAST_BUDGET
    ? bad('memory', `${text}: raise the limit`)
    : good('memory', `${text}${groupNote(found)}`);
}

/** Of an application that is as small as this process beside its heap. */
function limitsHere(target) {
  const { heap_size_limit: heapLimit, total_physical_size: heap } = v8.getHeapStatistics();
  const rest = Math.max(0, target.memory('RssAnon') - heap);
  return limits({ heapLimit, rest, group: groupLimits(target) });
}

/** Who says that files go to that directory, and whose go elsewhere. */
function whose({ directoryFrom = 'the current directory' }) {
  const automatic = directoryFrom === 'dir=' ? undefined : process.env.HEAP_SNAPSHOT_DIR;
  return directoryFrom + (automatic ? `; automatic snapshots go to ${printable(automatic)}, HEAP_SNAPSHOT_DIR` : '');
}

function signalHere(signal, nodeOptions, parent) {
  if (signal === undefined) {
    return warning('signal', 'NODE_HEAPDUMP_OPTIONS says nosignal: no signal dumps; take the word out if one should');
  }
  if (parent !== undefined && under(parent, 'nodemon') && signal === 'SIGUSR2') return nodemon();
  const own = nodeSignal(nodeOptions, signal);
  return good('signal', `${signal} dumps, once the application has loaded heapdump-rs${own}`);
}

module.exports = { lookHere };

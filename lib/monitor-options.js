'use strict';

// From the options of `monitor({...})` to those of the addon, checked.

const os = require('node:os');
const path = require('node:path');
const { fileURLToPath } = require('node:url');
const { threadId } = require('node:worker_threads');

const { monitorDirectory } = require('./directory.js');
const { invalidType, invalidValue } = require('./errors.js');
const { readName } = require('./names.js');
const { program } = require('./program.js');
const { toBytes, toPercent, toMilliseconds } = require('./quantities.js');

/** Where nothing but a percentage can be meant. */
const toPlainPercent = (value) => (typeof value === 'number' && value >= 0 ? value : toPercent(value));

const SIZE = "a size such as '1.5GB' or a number of bytes";
const PERCENTAGE = "a percentage such as '80%'";
const DURATION = "a time such as '10m' or a number of milliseconds";
const AT_LIMIT = ['wait', 'continue', 'exit'];
const NAMES = [
  'threshold', 'external', 'rss', 'cgroup', 'growth', 'every', 'oom', 'dir', 'name', 'max', 'keep', 'free', 'cooldown',
  'hysteresis', 'interval', 'output', 'lowMemory', 'embed', 'compress', 'redact', 'encryptTo', 'fileMode', 'fallback', 'exposeInternals', 'exposeNumericValues', 'metrics',
  'metricsInterval', 'exporter', 'report',
];

/** What the monitor's own options say; those of the snapshot are lib/options.js's. */
function normalizeMonitor(options) {
  if (options === null || typeof options !== 'object' || Array.isArray(options)) {
    throw invalidType('options', 'an object', options);
  }
  for (const name of Object.keys(options)) {
    if (!NAMES.includes(name)) throw invalidValue('options', `without "${name}", which is none of ${NAMES.join(', ')}`, options);
  }
  return {
    directory: directoryOf(options.dir),
    name: readName(options.name),
    limits: limitsOf(options),
    ...growthOf(options.growth),
    every: above(0, 'every', options.every, toMilliseconds, DURATION),
    interval: above(0, 'interval', options.interval ?? 1000, toMilliseconds, DURATION),
    hysteresis: hysteresisOf(options.hysteresis),
    cooldown: read('cooldown', options.cooldown ?? '10m', toMilliseconds, DURATION),
    max: maxOf(options.max),
    keep: above(0, 'keep', options.keep ?? Infinity, toBytes, SIZE),
    free: read('free', options.free ?? '16MB', toBytes, SIZE),
    host: os.hostname(),
    node: process.version,
    thread: threadId,
    program: program(),
  };
}

/** Throws what is wrong with options that may be but a few of a monitor's. */
function checkMonitorOptions(options) {
  normalizeMonitor(options);
  atLimitOf(options.oom);
  metricsOf(options);
  exporterOf(options);
  leavesReports(options);
}

/** What to do at V8's limit; undefined for nothing. */
function atLimitOf(oom) {
  if (oom === undefined || oom === false) return undefined;
  if (oom === true) return 'wait';
  if (!AT_LIMIT.includes(oom)) throw invalidValue('oom', `a boolean or one of ${quoted(AT_LIMIT)}`, oom);
  return oom;
}

/** Where metrics go, and how often. */
function metricsOf({ metrics, metricsInterval = 30_000 }) {
  if (metrics !== undefined && typeof metrics?.gauge !== 'function') {
    throw invalidType('metrics', 'an object with a function gauge(name, value)', metrics);
  }
  return { metrics, period: above(0, 'metricsInterval', metricsInterval, toMilliseconds, DURATION) };
}

/** Where snapshots go besides. */
function exporterOf({ exporter }) {
  if (exporter !== undefined && typeof exporter?.export !== 'function') throw invalidType('exporter', 'an exporter', exporter);
  return exporter;
}

/** Whether a report lies beside each snapshot. */
function leavesReports({ report = false }) {
  if (typeof report !== 'boolean') throw invalidType('report', 'a boolean', report);
  return report;
}

function limitsOf({ threshold, external, rss, cgroup }) {
  const limits = [];
  for (const value of threshold === undefined ? [] : [threshold].flat()) {
    const percent = toPercent(value);
    const expected = `${SIZE}, or ${PERCENTAGE} of V8's limit, or a list of them`;
    if (percent === undefined) limits.push({ reason: 'used', bytes: above(0, 'threshold', value, toBytes, expected) });
    else limits.push({ reason: 'used', percent: above(0, 'threshold', value, toPercent, expected) });
  }
  if (external !== undefined) limits.push({ reason: 'external', bytes: above(0, 'external', external, toBytes, SIZE) });
  if (rss !== undefined) limits.push({ reason: 'rss', bytes: above(0, 'rss', rss, toBytes, SIZE) });
  if (cgroup !== undefined) {
    limits.push({ reason: 'cgroup', percent: above(0, 'cgroup', cgroup, toPlainPercent, PERCENTAGE) });
  }
  return limits;
}

/** `true` is the guide's alert. */
function growthOf(growth) {
  if (growth === undefined || growth === false) return { growthAtLeast: 0 };
  const isObject = typeof growth === 'object' && growth !== null;
  const { percent = '50%', atLeast = '16MB' } = isObject ? growth : { percent: growth === true ? '50%' : growth };
  return {
    growthPercent: above(0, 'growth', percent, toPlainPercent, `true, or ${PERCENTAGE}, or { percent, atLeast }`),
    growthAtLeast: read('growth.atLeast', atLeast, toBytes, SIZE),
  };
}

function hysteresisOf(hysteresis = '10%') {
  const percent = read('hysteresis', hysteresis, toPlainPercent, `${PERCENTAGE}, below 100%`);
  if (percent >= 100) throw invalidValue('hysteresis', `${PERCENTAGE}, below 100%`, hysteresis);
  return percent / 100;
}

function maxOf(max = 3) {
  if (!Number.isInteger(max) || max < 1 || max > 2 ** 31) throw invalidValue('max', 'a number of files from 1', max);
  return max;
}

/** Resolved now: the process may change its directory. */
function directoryOf(dir = monitorDirectory()) {
  if (typeof dir !== 'string' && !(dir instanceof URL)) throw invalidType('dir', 'a path', dir);
  return path.resolve(dir instanceof URL ? fileURLToPath(dir) : dir);
}

function read(name, value, parse, expected) {
  const parsed = value === undefined ? undefined : parse(value);
  if (value !== undefined && parsed === undefined) throw invalidValue(name, expected, value);
  return parsed;
}

function above(least, name, value, parse, expected) {
  const parsed = read(name, value, parse, expected);
  if (parsed <= least) throw invalidValue(name, `${expected}, above ${least}`, value);
  return parsed;
}

const quoted = (values) => values.map((value) => `'${value}'`).join(', ');

module.exports = { normalizeMonitor, checkMonitorOptions, atLimitOf, exporterOf, leavesReports, metricsOf };

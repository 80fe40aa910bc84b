'use strict';

// A monitor's numbers, and how prom-client and OpenTelemetry get them. Both are handed in by the caller.

const { memoryUsage } = require('./memory-usage.js');

const HELP = {
  'nodejs.memory.rss': ['Resident memory of the process', 'By'],
  'nodejs.memory.heap_used': ["What V8's heap holds, garbage included", 'By'],
  'nodejs.memory.heap_total': ["Memory of V8's heap", 'By'],
  'nodejs.memory.heap_limit': ["V8's heap limit", 'By'],
  'nodejs.memory.heap_used_after_gc': ["What V8's heap held after the last full garbage collection", 'By'],
  'nodejs.memory.external': ["What JavaScript's objects hold outside of the heap", 'By'],
  'nodejs.memory.array_buffers': ['ArrayBuffers and Buffers; a part of external', 'By'],
  'nodejs.memory.cgroup_used': ['What the memory control group uses, without file cache that can be dropped', 'By'],
  'nodejs.memory.cgroup_limit': ["The memory control group's limit", 'By'],
  'heapdump.in_progress': ['1 while a snapshot of the process is being taken', '1'],
  'heapdump.taken': ['Snapshots that this monitor has taken', '1'],
  'heapdump.failed': ['Snapshots of this monitor that failed', '1'],
  'heapdump.skipped': ['Snapshots that this monitor did not take because of a cooldown or of another one', '1'],
  'heapdump.last_pause': ["How long the process' last snapshot stopped the event loop", 'ms'],
  'heapdump.last_fork_time': ['fork(2) of the last snapshot', 'ms'],
  'heapdump.last_duration': ['The last snapshot, from the call to the complete file', 'ms'],
  'heapdump.last_bytes': ["The last snapshot's file", 'By'],
  'heapdump.last_child_memory': ['What the child of the last snapshot held alone', 'By'],
};

/** By name; what is not known is not there. */
function readMetrics({ used, heapLimit, groupUsed, groupLimit }, { taken, failed, skipped }) {
  const { rss, heapUsed, heapTotal, external, arrayBuffers } = memoryUsage();
  const { inProgress, last } = require('./snapshot.js').getStatus();
  const values = {
    'nodejs.memory.rss': rss,
    'nodejs.memory.heap_used': heapUsed,
    'nodejs.memory.heap_total': heapTotal,
    'nodejs.memory.heap_limit': heapLimit,
    'nodejs.memory.heap_used_after_gc': used,
    'nodejs.memory.external': external,
    'nodejs.memory.array_buffers': arrayBuffers,
    'nodejs.memory.cgroup_used': groupUsed,
    'nodejs.memory.cgroup_limit': groupLimit,
    'heapdump.in_progress': Number(inProgress),
    'heapdump.taken': taken,
    'heapdump.failed': failed,
    'heapdump.skipped': skipped,
    'heapdump.last_pause': last?.pause,
    'heapdump.last_fork_time': last?.forkTime,
    'heapdump.last_duration': last?.duration,
    'heapdump.last_bytes': last?.bytes,
    'heapdump.last_child_memory': last?.childPrivateMemory,
  };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

/**
 * Gauges of prom-client that are read when they are collected.
 * @param {() => Record<string, number>} read
 * @param {{ Gauge: Function }} client prom-client
 * @param {object} [options] `registers` as prom-client takes them, and a prefix of the names
 */
function addToPrometheus(read, client, { registers, prefix = '' } = {}) {
  return Object.entries(HELP).map(
    ([name, [help, unit]]) =>
      new client.Gauge({
        name: `${prefix}${name.replaceAll('.', '_')}${{ By: '_bytes', ms: '_milliseconds' }[unit] ?? ''}`,
        help,
        ...(registers && { registers }),
        collect() {
          const value = read()[name];
          if (value === undefined) this.remove();
          else this.set(value);
        },
      }),
  );
}

/**
 * Observable gauges of OpenTelemetry that are read once for each collection. Returns what ends that.
 * @param {() => Record<string, number>} read
 * @param {object} meter of `@opentelemetry/api`
 */
function addToOpenTelemetry(read, meter) {
  const gauges = new Map(
    Object.entries(HELP).map(([name, [description, unit]]) => [name, meter.createObservableGauge(name, { description, unit })]),
  );
  const observe = (result) => {
    for (const [name, value] of Object.entries(read())) result.observe(gauges.get(name), value);
  };
  meter.addBatchObservableCallback(observe, [...gauges.values()]);
  return () => meter.removeBatchObservableCallback(observe, [...gauges.values()]);
}

module.exports = { readMetrics, addToPrometheus, addToOpenTelemetry };

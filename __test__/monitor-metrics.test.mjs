// A monitor's numbers, and whom they are handed to.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { startApp } from './support/app.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';

const GC = ['--expose-gc'];

test('metrics: numbers by name, a gauge function, the diagnostics channel', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ args, once, stayAlive }) => {
    const alive = stayAlive();
    const { subscribe } = require('node:diagnostics_channel');
    const channel = [];
    subscribe('heapdump-rs:monitor', ({ type, reason }) => channel.push([type, reason]));
    const gauges = {};
    const metrics = { gauge: (name, value) => (gauges[name] = value) };
    const watching = require('../../lib/monitor.js').monitor({ dir: args.dir, threshold: 1, metrics, metricsInterval: 10 });
    const taken = once(watching, 'snapshot');
    global.gc();
    await taken;
    while (gauges['heapdump.taken'] !== 1) await new Promise((resolve) => setTimeout(resolve, 5));
    watching.stop();
    clearTimeout(alive);
    return { gauges, channel, metrics: watching.metrics() };
  }, { args: { dir: directory.path }, nodeOptions: GC });
  const { gauges, channel, metrics } = await app.result();
  for (const name of ['nodejs.memory.rss', 'nodejs.memory.heap_used', 'nodejs.memory.heap_total', 'heapdump.last_pause']) {
    assert.ok(gauges[name] > 0, name);
  }
  assert.deepEqual(Object.keys(metrics), Object.keys(gauges));
  assert.deepEqual([metrics['heapdump.taken'], metrics['heapdump.failed'], metrics['heapdump.in_progress']], [1, 0, 0]);
  assert.deepEqual(channel, [['threshold', 'used'], ['snapshot', 'used']]);
});

test('at the limit of open files there are fewer metrics, and no throw out of a timer', async (t) => {
  const app = startApp(t, async ({ stayAlive }) => {
    const alive = stayAlive();
    const { closeSync, openSync } = require('node:fs');
    const names = new Set();
    const metrics = { gauge: (name) => names.add(name) };
    const watching = require('../../lib/monitor.js').monitor({ metrics, metricsInterval: 5 });
    watching.metrics();
    const open = [];
    try {
      for (;;) open.push(openSync('/dev/null'));
    } catch ({ code }) {
      while (!names.has('heapdump.taken')) await new Promise((resolve) => setTimeout(resolve, 5));
      const atLimit = [code, names.has('nodejs.memory.heap_used'), names.has('nodejs.memory.rss')];
      open.map(closeSync);
      while (!names.has('nodejs.memory.rss')) await new Promise((resolve) => setTimeout(resolve, 5));
      clearTimeout(alive);
      return atLimit;
    }
  }, { via: ['sh', '-c', 'ulimit -n 64 && exec "$@"', 'sh'] });
  assert.deepEqual(await app.result(), ['EMFILE', true, false]);
});

test('prom-client and OpenTelemetry get them', async (t) => {
  const app = startApp(t, async () => {
    const watching = require('../../lib/monitor.js').monitor();
    const prom = require('prom-client');
    watching.toPrometheus(prom);
    prom.collectDefaultMetrics();
    const own = new prom.Registry();
    watching.toPrometheus(prom, { registers: [own], prefix: 'app_' });

    const { MeterProvider, MetricReader } = require('@opentelemetry/sdk-metrics');
    class Reader extends MetricReader {
      onForceFlush() {}
      onShutdown() {}
    }
    const reader = new Reader();
    const end = watching.toOpenTelemetry(new MeterProvider({ readers: [reader] }).getMeter('test'));
    const collect = async () => {
      const { resourceMetrics } = await reader.collect();
      const points = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics).filter(({ dataPoints }) => dataPoints.length > 0);
      return Object.fromEntries(points.map(({ descriptor, dataPoints }) => [descriptor.name, [descriptor.unit, dataPoints[0].value]]));
    };
    const points = await collect();
    end();
    const after = await collect();
    watching.stop();
    return { text: await prom.register.metrics(), own: await own.metrics(), points, after };
  });
  const { text, own, points, after } = await app.result();
  assert.match(text, /^nodejs_memory_rss_bytes \d{6,}$/m);
  assert.match(text, /^heapdump_taken 0$/m);
  assert.doesNotMatch(text, /^heapdump_last_pause_milliseconds /m);
  assert.match(own, /^app_nodejs_memory_heap_used_bytes \d{6,}$/m);
  assert.equal(points['nodejs.memory.heap_used'][0], 'By');
  assert.ok(points['nodejs.memory.heap_used'][1] > 1e6);
  assert.equal(points['heapdump.last_pause'], undefined);
  assert.deepEqual(after, points, 'nothing is read any more');
});

test('a gauge function that throws is one error event and no throw out of a timer', async (t) => {
  const app = startApp(t, async ({ once, stayAlive }) => {
    const alive = stayAlive();
    let calls = 0;
    const gauge = () => {
      calls += 1;
      throw new Error('the client is closed');
    };
    const watching = require('../../lib/monitor.js').monitor({ metrics: { gauge }, metricsInterval: 1 });
    const errors = [];
    watching.on('error', ({ message }) => errors.push(message));
    await once(watching, 'error');
    // Had the timer gone on, it would have come round before this one.
    await new Promise((resolve) => setTimeout(resolve, 50));
    clearTimeout(alive);
    watching.stop();
    return { calls, errors };
  });
  assert.deepEqual(await app.result(), { calls: 1, errors: ['the client is closed'] });
});

// heapdump-rs/openprofiling: OpenProfiling's own examples, with our exports alone and within an agent and an exporter of
// upstream's contract (upstream itself has not been installable since 2021).

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { startApp, startProgram } from './support/app.mjs';
import { makeTemporaryDirectory, modeOf } from './support/files.mjs';
import { childrenOf, waitFor } from './support/processes.mjs';

/** Waits for that many whole files; a file appears under its name when it is complete. */
const filesOf = (directory, count, pattern = /^[^.]/) =>
  waitFor(`${count} files`, () => {
    const names = directory.names().filter((name) => pattern.test(name));
    return names.length >= count && names;
  });

// The first example, word for word but for the names of the packages.
const FIRST = `
import { ProfilingAgent } from 'heapdump-rs/openprofiling'
import { FileExporter } from 'heapdump-rs/openprofiling'
import { InspectorHeapSnapshot } from 'heapdump-rs/openprofiling'
import { SignalTrigger } from 'heapdump-rs/openprofiling'

const profilingAgent = new ProfilingAgent()
profilingAgent.register(new SignalTrigger({ signal: 'SIGUSR2' }), new InspectorHeapSnapshot())
profilingAgent.start({ exporter: new FileExporter() })
`;

// The second, whose import of InspectorCPUProfiler is missing in the original.
const SECOND = `
import { ProfilingAgent } from 'heapdump-rs/openprofiling'
import { FileExporter } from 'heapdump-rs/openprofiling'
import { InspectorHeapSnapshot } from 'heapdump-rs/openprofiling'
import { InspectorHeapProfiler, InspectorCPUProfiler } from 'heapdump-rs/openprofiling'
import { SignalTrigger } from 'heapdump-rs/openprofiling'
import * as inspector from 'inspector'

const profilingAgent = new ProfilingAgent()
// creation a session
const session = new inspector.Session()
// give it as parameters to the constructor
profilingAgent.register(new SignalTrigger({ signal: 'SIGUSR1' }), new InspectorHeapSnapshot({ session }))
profilingAgent.register(new SignalTrigger({ signal: 'SIGUSR2' }), new InspectorCPUProfiler({ session }))
profilingAgent.start({ exporter: new FileExporter() })
`;

/** The example as a program of a package's user, which then waits for signals. */
function startExample(t, source) {
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('tmp'));
  fs.mkdirSync(directory.at('node_modules'));
  fs.symlinkSync(new URL('..', import.meta.url).pathname, directory.at('node_modules', 'heapdump-rs'));
  fs.writeFileSync(directory.at('app.mjs'), `${source}\nsetInterval(() => {}, 1000);\nconsole.log('ready');\n`);
  const env = { TMPDIR: directory.at('tmp') };
  const app = startProgram(t, [process.execPath, '--max-old-space-size=512', 'app.mjs'], { cwd: directory.path, env });
  const output = { names: () => directory.names('tmp'), at: (name) => directory.at('tmp', name) };
  return { app, directory, output };
}

test("upstream's first example: every signal is a whole snapshot, one file each", async (t) => {
  const { app, directory, output } = startExample(t, FIRST);
  await app.says(/ready/);
  for (let count = 1; count <= 3; count++) {
    app.kill('SIGUSR2');
    const names = await filesOf(output, count);
    assert.equal(names.length, count);
    for (const name of names) {
      assert.match(name, /^heap_snapshot-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z-\d+-\d+\.heapsnapshot$/);
      assert.equal(modeOf(output.at(name)), 0o600);
    }
    await validateSnapshot(output.at(names.at(-1)));
  }
  await waitFor('no child', () => childrenOf(app.pid).length === 0);
  assert.deepEqual(directory.names(), ['app.mjs', 'node_modules', 'tmp']);
  assert.equal(app.stderr, '');
});

test("upstream's second example: a heap and a CPU profiler with one session", async (t) => {
  const { app, output } = startExample(t, SECOND);
  await app.says(/ready/);
  app.kill('SIGUSR1');
  const [snapshot] = await filesOf(output, 1);
  await validateSnapshot(output.at(snapshot));
  app.kill('SIGUSR2');
  // Both signals are in order only when the first has been seen: a second CPU signal ends what the first began.
  app.kill('SIGUSR1');
  await filesOf(output, 2);
  app.kill('SIGUSR2');
  const names = await filesOf(output, 3);
  assert.deepEqual(names.map((name) => name.split('.').at(-1)).sort(), ['cpuprofile', 'heapsnapshot', 'heapsnapshot']);
  const profile = names.find((name) => name.endsWith('.cpuprofile'));
  assert.match(profile, /^cpu_profile-/);
  const { nodes, samples } = JSON.parse(fs.readFileSync(output.at(profile), 'utf8'));
  assert.ok(nodes.length > 0 && Array.isArray(samples));
  assert.equal(app.stderr, '');
});

test("the package's own handler leaves the signal to the trigger, and has it back after stop()", async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('cwd'));
  const app = startApp(t, ({ heapdump, args, say, stayAlive }) => {
    const { ProfilingAgent, SignalTrigger, HeapSnapshotProfiler, FileExporter } = require('../../lib/openprofiling.js');
    stayAlive();
    const agent = new ProfilingAgent();
    agent.register(new SignalTrigger({ signal: 'SIGUSR2' }), new HeapSnapshotProfiler());
    agent.start({ exporter: new FileExporter({ path: args.directory }) });
    process.once('SIGHUP', () => {
      agent.stop();
      say('stopped', typeof heapdump.writeSnapshot);
    });
    say('ready');
  }, { cwd: directory.at('cwd'), args: { directory: directory.at('out') } });
  fs.mkdirSync(directory.at('out'));
  const [cwd, out] = ['cwd', 'out'].map((sub) => ({ names: () => directory.names(sub) }));
  await app.says(/ready/);
  app.kill('SIGUSR2');
  await filesOf(out, 1);
  await waitFor('no child', () => childrenOf(app.pid).length === 0);
  assert.deepEqual(cwd.names(), []);
  app.kill('SIGHUP');
  await app.says(/stopped function/);
  app.kill('SIGUSR2');
  const [own] = await filesOf(cwd, 1);
  assert.match(own, /^heapdump-/);
  assert.equal(out.names().length, 1);
});

test("upstream's agent and exporters: START and END both dump, data is there as a Buffer, and no file stays", async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ args, once, fill }) => {
    fill(1000);
    const { HeapSnapshotProfiler } = require('../../lib/openprofiling.js');
    const fs = require('node:fs');
    // As @openprofiling/core's CoreAgent and exporter-file's FileExporter do it.
    const events = new (require('node:events'))();
    const exporter = {
      onProfileStart: async (profile) => events.emit('start', profile.kind, profile.started, profile.ended),
      async onProfileEnd(profile) {
        const { kind, name, status, attributes, startTime, endTime, data } = profile;
        const file = `${args.directory}/${kind}-${status}-${name}`;
        fs.writeFile(file, data, () => events.emit('end', { file, attributes, ordered: startTime <= endTime, isBuffer: Buffer.isBuffer(data) }));
      },
    };
    const agent = {
      logger: { level: 0 },
      notifyStartProfile: (profile) => void exporter.onProfileStart(profile),
      notifyEndProfile: (profile) => void exporter.onProfileEnd(profile),
    };
    const profiler = new HeapSnapshotProfiler({ session: {}, directory: args.directory });
    profiler.enable(agent);
    const told = [];
    for (const [state, name] of [[1, 'first'], [0, 'second']]) {
      const ended = once(events, 'end');
      profiler.onTrigger(state, { source: {}, name, attributes: { request: 5 } });
      told.push(await ended);
    }
    profiler.disable();
    return told;
  }, { args: { directory: directory.path } });
  const told = await app.result();
  assert.deepEqual(directory.names(), ['HEAP_SNAPSHOT-1-first', 'HEAP_SNAPSHOT-1-second']);
  for (const { file, attributes, ordered, isBuffer } of told) {
    await validateSnapshot(file);
    assert.deepEqual([ordered, isBuffer], [true, true]);
    assert.deepEqual(attributes, { request: 5, profiler: 'heap-snapshot' });
  }
});

test("upstream's trigger, profilers and exporters plug into our agent", async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ args }) => {
    const { ProfilingAgent, HeapSnapshotProfiler } = require('../../lib/openprofiling.js');
    const seen = [];
    const trigger = { enable: (agent) => (trigger.agent = agent), disable: () => seen.push('trigger off') };
    const profiler = {
      enable: (agent) => (profiler.agent = agent),
      disable: () => seen.push('profiler off'),
      async onTrigger(state, { source }) {
        seen.push(`triggered ${state} ${source === trigger}`);
        throw new Error('of a profiler');
      },
    };
    const ended = new Promise((resolve) => (trigger.ended = resolve));
    const exporter = {
      enable: ({ logger }) => seen.push(`level ${logger.level}`),
      disable: () => seen.push('exporter off'),
      onProfileStart: async () => {},
      onProfileEnd: async ({ data }) => trigger.ended(data.length),
    };
    const agent = new ProfilingAgent();
    agent.register(trigger, profiler).register(trigger, new HeapSnapshotProfiler({ directory: args.directory }));
    agent.start({ exporter, logLevel: 2 });
    const warned = new Promise((resolve) => process.once('warning', ({ message }) => resolve(message)));
    trigger.agent.onTrigger(1, { source: trigger });
    seen.push((await ended) > 1e6, await warned);
    agent.stop();
    return seen;
  }, { args: { directory: directory.path } });
  assert.deepEqual(await app.result(), [
    'level 2', 'triggered 1 true', true, 'openprofiling: the profiler failed: of a profiler',
    'trigger off', 'profiler off', 'trigger off', 'exporter off',
  ]);
  assert.deepEqual(directory.names(), []);
});

test('a failure is a warning, and the next signal is answered', async (t) => {
  const directory = makeTemporaryDirectory(t);
  fs.writeFileSync(directory.at('file'), '');
  const app = startApp(t, async ({ args, say, stayAlive }) => {
    const { ProfilingAgent, SignalTrigger, HeapSnapshotProfiler, FileExporter } = require('../../lib/openprofiling.js');
    stayAlive();
    new ProfilingAgent()
      .register(new SignalTrigger({ signal: 'SIGUSR2' }), new HeapSnapshotProfiler({ compress: 'gzip' }))
      .start({ exporter: new FileExporter({ path: args.directory }) });
    say('ready');
  }, { args: { directory: directory.at('file') } });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  await app.says(/ERR_HEAPDUMP_EXPORT.*HeapdumpWarning: openprofiling: the exporter failed: FileExporter: EEXIST/s, { on: 'stderr' });
  fs.rmSync(directory.at('file'));
  app.kill('SIGUSR2');
  const [name] = await filesOf({ names: () => directory.names().flatMap((sub) => directory.names(sub)) }, 1);
  assert.match(name, /\.heapsnapshot\.gz$/);
  await validateSnapshot(directory.at('file', name));
});

test('allocations are sampled between two triggers, and what runs at stop() is still exported', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ args, fill }) => {
    const { ProfilingAgent, InspectorHeapProfiler, InspectorCPUProfiler, FileExporter } = require('../../lib/openprofiling.js');
    const triggers = [1, 2].map(() => ({ enable() {}, disable() {} }));
    const exporter = new FileExporter({ path: args.directory });
    const exported = [];
    const { onProfileEnd } = exporter;
    const done = new Promise((resolve) => {
      exporter.onProfileEnd = async (profile) => {
        exported.push(await onProfileEnd.call(exporter, profile));
        if (exported.length === 2) resolve();
      };
    });
    const agent = new ProfilingAgent()
      .register(triggers[0], new InspectorHeapProfiler({ samplingInterval: 1024 }))
      .register(triggers[1], new InspectorCPUProfiler())
      .start({ exporter });
    for (const source of triggers) agent.onTrigger(0, { source });
    for (const source of triggers) agent.onTrigger(1, { source });
    for (const source of triggers) agent.onTrigger(1, { source });
    await new Promise(setImmediate);
    fill(1000);
    agent.onTrigger(0, { source: triggers[0] });
    agent.stop();
    await done;
    return exported.map(({ location }) => location);
  }, { args: { directory: directory.path } });
  const locations = (await app.result()).sort();
  assert.deepEqual(locations.map((file) => file.split('.').at(-1)), ['cpuprofile', 'heapprofile']);
  assert.ok(JSON.parse(fs.readFileSync(locations[1], 'utf8')).head.children.length > 0);
  assert.ok(JSON.parse(fs.readFileSync(locations[0], 'utf8')).nodes.length > 0);
});

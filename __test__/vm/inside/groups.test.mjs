// Memory control groups of version 2 with little room: what is written there, and what is refused.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import limits from '../../../harness/limits.cjs';
import { validateSnapshot } from '../../../harness/validate.mjs';
import { checkSubject, copiesOf, startSubject, traces } from '../../outside/subject.mjs';
import { ROOT, startApp, startProgram } from '../../support/app.mjs';
import { runCommand } from '../../support/command.mjs';
import { makeControlGroup } from '../../support/faults.mjs';
import { makeTemporaryDirectory } from '../../support/files.mjs';
import { assertWholeImageFile } from '../../support/images.mjs';
import { NODES, makeOutput } from './disk.mjs';

const MB = 1024 * 1024;

/** The group's limit becomes what it uses and so much more; file cache is no use of it. */
function leave(group, megabytes) {
  const cache = Number(/^inactive_file (\d+)$/m.exec(group.read('memory.stat'))[1]);
  group.write('memory.max', Number(group.read('memory.current')) - cache + Math.ceil(megabytes) * MB);
}

/** Whether the kernel has ended a process in the group for lack of memory. */
const kills = (group) => Number(/^oom_kill (\d+)$/m.exec(group.read('memory.events'))[1]);

/**
 * A server that asks itself, before, while and after it writes what it can. Not without a pause: where a processor is emulated an image
 * takes so long that it would write to all of its young generation meanwhile, and the kernel would copy that.
 */
const server = async ({ promises, fill, plain, say, once, args }) => {
  while (process.memoryUsage().heapUsed < args.megabytes * 1e6) fill(1000);
  const http = require('node:http');
  const listening = http.createServer((request, response) => response.end(`${globalThis.kept.length}`)).listen(0, '127.0.0.1');
  await once(listening, 'listening');
  // A slow machine may keep the main thread longer than it keeps an idle connection.
  listening.keepAliveTimeout = 0;
  const agent = new http.Agent({ keepAlive: true });
  let answers = 0;
  const failures = [];
  const ask = () =>
    http
      .get({ host: '127.0.0.1', port: listening.address().port, agent }, (response) => response.resume().on('end', () => (answers++, setTimeout(ask, 50))))
      .on('error', ({ message }) => failures.push(message));
  ask();
  // As one that has been at work for a while: what it loads for an image is loaded.
  await promises.writeSnapshot('warm', { output: 'image' });
  require('node:fs').unlinkSync('warm.heapimage');
  while (answers < 20 && failures.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  say('ready');
  await once(process.stdin, 'data');
  process.stdin.destroy();
  const refused = await promises.writeSnapshot('a').catch(plain);
  const before = answers;
  const report = await promises.writeSnapshot('a', { output: 'image' }).catch(plain);
  const meanwhile = answers - before;
  // It goes on.
  while (answers === before + meanwhile && failures.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  say('wrote', { refused: refused.code, report, meanwhile, failures });
  setImmediate(() => process.exit());
};

/** In MB. */
const HEAP = 200;

for (const { major, node } of NODES) {
  // Where the group ends as one more is kept back (`least_beside`, src/snapshot/budget.rs).
  for (const [oomGroup, left] of [[0, 20], [1, 32]]) {
    test(`Node.js ${major}: with ${left} MB left at a heap of ${HEAP} MB (memory.oom.group ${oomGroup}) a whole image is written, and the server goes on`, async (t) => {
      const group = makeControlGroup(t, 'memory', { 'memory.oom.group': oomGroup });
      const cwd = makeOutput(major, `${left} MB left`);
      const app = startApp(t, server, { node, args: { megabytes: HEAP }, cwd, via: group.via, spawn: { stdio: ['pipe', 'pipe', 'pipe'] } });
      await app.says(/ready/);
      leave(group, left);
      app.writeInput('go on');
      const { refused, report, meanwhile, failures } = JSON.parse((await app.says(/^wrote (.*)$/m))[1]);
      assert.equal(refused, 'ERR_HEAPDUMP_NO_MEMORY');
      assert.equal(report.kind, 'image', JSON.stringify(report));
      assert.deepEqual(failures, []);
      assert.ok(meanwhile > 0, 'no answer meanwhile');
      assert.equal((await app.ended()).code, 0);
      assert.equal(kills(group), 0);
      t.diagnostic(`the image took ${report.duration.toFixed(0)} ms, and the server answered ${meanwhile} times meanwhile`);
      assertWholeImageFile(path.join(cwd, 'a.heapimage'));
    });
  }
}

/** Of harness/oom-subject.cjs: in the main thread, in another, and one array that is larger than the limit. */
const SHAPES = ['objects', 'strings', 'worker', 'array160'];

for (const { major, node } of NODES) {
  for (const shape of SHAPES) {
    test(`Node.js ${major}, ${shape}: at a limit of 64 MB in a group of 256 MB lowMemory: 'image' leaves an image, or a snapshot`, async (t) => {
      const { directory, names } = await runOutOfMemory(t, node, major, 'low-memory', shape, 256);
      t.diagnostic(names.join(', '));
      if (names.includes('evidence.heapimage')) assertWholeImageFile(path.join(directory, 'evidence.heapimage'));
      else await validateSnapshot(path.join(directory, 'evidence.heapsnapshot'));
    });
  }
  test(`Node.js ${major}: at a limit of 64 MB in a group of 160 MB output: 'image' leaves an image`, async (t) => {
    const { directory } = await runOutOfMemory(t, node, major, 'image', 'objects', 160);
    assertWholeImageFile(path.join(directory, 'evidence.heapimage'));
  });
}

async function runOutOfMemory(t, node, major, way, shape, megabytes) {
  const group = makeControlGroup(t, 'memory', { 'memory.max': megabytes * MB });
  const directory = makeOutput(major, `${shape} at the limit, ${way}`);
  const command = [node, '--max-old-space-size=64', path.join(ROOT, 'harness/oom-subject.cjs'), way, shape, 'evidence'];
  // The last is where it says that it is alive.
  const stdio = ['ignore', 'pipe', 'pipe', fs.openSync('/dev/null', 'w')];
  const app = startProgram(t, command, { cwd: directory, via: group.via, spawn: { stdio } });
  await app.ended();
  assert.equal(kills(group), 0);
  const names = fs.readdirSync(directory);
  assert.ok(names.some((name) => name.startsWith('evidence.heap')), app.stderr);
  return { directory, names };
}

/** From outside, of a process in a group with so much room. */
async function captureWithRoom(t, oomGroup, room) {
  const group = makeControlGroup(t, 'memory', { 'memory.oom.group': oomGroup });
  const directory = makeTemporaryDirectory(t);
  const app = await startSubject(t, 'idle', { megabytes: 200, via: group.via });
  const anonymous = Number(/^RssAnon:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${app.pid}/status`, 'utf8'))[1]) / 1024;
  leave(group, anonymous * room);
  const file = directory.at('a.heapimage');
  const args = ['node-snapshot', '--pid', app.pid, '--via', 'outside', '--max-stop', `${limits.WAIT / 1000}s`, '--output', file];
  const result = await runCommand(t, args);
  await checkSubject(app);
  assert.equal(traces(app.pid).tracer, '0');
  assert.deepEqual(copiesOf(app.pid), []);
  assert.equal(kills(group), 0);
  return { ...result, file };
}

test('from outside, half of its memory left, a group that ends as one: refused, and the process goes on', async (t) => {
  const { code, stderr, file } = await captureWithRoom(t, 1, 0.5);
  assert.equal(code, 2, stderr);
  assert.match(stderr, /the copy of it needs [\d.]+ MB, and [\d.]+ MB are left below the memory control group/);
  assert.ok(!fs.existsSync(file));
});

for (const [oomGroup, room] of [[0, 0.5], [1, 1.2]]) {
  test(`from outside, ${room} times its memory left, memory.oom.group ${oomGroup}: captured, and the process goes on`, async (t) => {
    const { code, stderr, file } = await captureWithRoom(t, oomGroup, room);
    assert.equal(code, 0, stderr);
    assertWholeImageFile(file);
  });
}

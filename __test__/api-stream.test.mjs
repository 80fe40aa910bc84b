// createSnapshotStream: the child writes into a pipe, whose reader sets the pace.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Readable } from 'node:stream';

import { canReadZstd, validateStream } from '../harness/validate.mjs';
import { NODE_MAJOR, startApp } from './support/app.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { childrenOf, goneAfter, snapshotChildOf } from './support/processes.mjs';

const binaryOutput = { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] };

/** A program that pipes its stream into descriptor 3 and then prints the report on stderr. */
const pipeOut = ({ heapdump, fill, args }) => {
  fill(args.count ?? 1000);
  const stream = heapdump.createSnapshotStream(args.options);
  stream.on('report', (report) => require('node:fs').writeSync(2, JSON.stringify(report)));
  stream.pipe(require('node:fs').createWriteStream(null, { fd: 3 }));
};

test('the stream is a whole snapshot, the report agrees with it, and nothing lands on disk', async (t) => {
  for (const mode of ['fork', 'inline']) {
    const directory = makeTemporaryDirectory(t);
    const env = { TMPDIR: directory.path };
    const app = startApp(t, pipeOut, { cwd: directory.path, env, args: { options: { mode } }, spawn: binaryOutput });
    const counts = await validateStream(app.output(3));
    await app.ended();
    const report = JSON.parse(app.stderr);
    assert.equal(report.mode, mode);
    assert.equal(report.bytes, counts.bytes);
    if (mode === 'fork') assert.deepEqual([report.nodes, report.edges], [counts.nodes, counts.edges]);
    assert.equal(report.path, undefined);
    assert.deepEqual(directory.names(), []);
  }
});

test('a compressed stream decompresses to a whole snapshot', async (t) => {
  for (const [compress, extension] of [['gzip', 'gz'], ['zstd', 'zst']]) {
    if (extension === 'zst' && !canReadZstd()) {
      t.diagnostic('zstd was not checked: there is nothing here to decompress with');
      continue;
    }
    for (const mode of ['fork', 'inline']) {
      if (mode === 'inline' && compress === 'zstd' && NODE_MAJOR < 24) continue;
      const app = startApp(t, pipeOut, { args: { count: 20_000, options: { compress, mode } }, spawn: binaryOutput });
      const counts = await validateStream(app.output(3), { extension });
      await app.ended();
      const report = JSON.parse(app.stderr);
      assert.ok(report.bytes * 3 < counts.bytes, `${report.bytes} of ${counts.bytes}`);
    }
  }
});

test("'report' comes before 'end', and both once", async (t) => {
  const app = startApp(t, async ({ heapdump, once }) => {
    const events = [];
    const stream = heapdump.createSnapshotStream();
    for (const name of ['report', 'end', 'error', 'close']) stream.on(name, () => events.push(name));
    stream.resume();
    await once(stream, 'close');
    return events;
  });
  assert.deepEqual(await app.result(), ['report', 'end', 'close']);
});

test('a slow reader holds the child back, and loses nothing', async (t) => {
  const app = startApp(t, async ({ heapdump, fill, say }) => {
    fill(40_000);
    const stream = heapdump.createSnapshotStream();
    let bytes = 0;
    let most = 0;
    let report;
    stream.on('report', (value) => (report = value));
    for await (const chunk of stream) {
      bytes += chunk.length;
      // What the reader has not taken yet: the stream's own buffer and no more.
      most = Math.max(most, stream.readableLength);
      if (bytes === chunk.length) {
        say('first chunk');
        await require('node:events').once(process.stdin, 'data');
      }
    }
    process.stdin.destroy();
    return { bytes, most, report };
  }, { spawn: { stdio: ['pipe', 'pipe', 'pipe'] } });
  await app.says(/first chunk/);
  // The child cannot end: its output does not fit into the pipe. It sleeps in write(2).
  const child = await snapshotChildOf(app);
  app.writeInput('go on');
  const { bytes, most, report } = await app.result();
  assert.equal(bytes, report.bytes);
  assert.ok(bytes > 10 * most, `${most} of ${bytes} bytes were in memory`);
  await goneAfter(child);
});

test('a stream that nobody reads holds nothing but its buffer, and destroying it ends the child', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, fill, say, once }) => {
    fill(20_000);
    const stream = heapdump.createSnapshotStream();
    const timer = setInterval(() => {}, 1000);
    await require('node:events').once(process.stdin, 'data');
    say('buffered', stream.readableLength);
    stream.destroy();
    await once(stream, 'close');
    while (heapdump.getStatus().inProgress) await new Promise(setImmediate);
    say('closed');
    clearInterval(timer);
    process.stdin.destroy();
    return 'done';
  }, { cwd: directory.path, spawn: { stdio: ['pipe', 'pipe', 'pipe'] } });
  const child = await snapshotChildOf(app);
  app.writeInput('destroy it');
  assert.ok(Number((await app.says(/buffered (\d+)/))[1]) < 4 << 20);
  await app.says(/closed/);
  await goneAfter(child);
  assert.equal(await app.result(), 'done');
  assert.deepEqual(childrenOf(app.pid), []);
  assert.deepEqual(directory.names(), []);
});

test('a stream destroyed half-way leaves no child and no descriptor', async (t) => {
  const app = startApp(t, async ({ heapdump, fill }) => {
    fill(10_000);
    const descriptors = () => require('node:fs').readdirSync('/proc/self/fd').length;
    let before;
    for (let i = 0; i < 6; i++) {
      const stream = heapdump.createSnapshotStream();
      let bytes = 0;
      for await (const chunk of stream) {
        bytes += chunk.length;
        if (bytes > 100_000) break;
      }
      if (!stream.destroyed) throw new Error('not destroyed');
      while (heapdump.getStatus().inProgress) await new Promise(setImmediate);
      before ??= descriptors();
    }
    return { before, after: descriptors() };
  });
  const { before, after } = await app.result();
  assert.ok(after <= before, `${before} descriptors, then ${after}`);
  assert.deepEqual(childrenOf(app.pid), []);
});

test('an AbortSignal destroys the stream with its reason and ends the child', async (t) => {
  const app = startApp(t, async ({ heapdump, fill, plain }) => {
    fill(50_000);
    const controller = new AbortController();
    const stream = heapdump.createSnapshotStream({ signal: controller.signal });
    let chunks = 0;
    try {
      for await (const chunk of stream) {
        chunks += chunk.length > 0 ? 1 : 0;
        controller.abort(new Error('enough'));
      }
      return 'ended';
    } catch (error) {
      return { ...plain(error), chunks };
    }
  });
  const child = await snapshotChildOf(app);
  const { name, code, cause, chunks } = await app.result();
  assert.deepEqual([name, code, cause.message], ['AbortError', 'ABORT_ERR', 'enough']);
  assert.ok(chunks >= 1);
  await goneAfter(child);
});

test('timeout destroys the stream with ERR_HEAPDUMP_TIMEOUT', async (t) => {
  const app = startApp(t, async ({ heapdump, fill, plain }) => {
    fill(100_000);
    const stream = heapdump.createSnapshotStream({ timeout: 100 });
    stream.resume();
    return new Promise((resolve) => stream.once('error', (error) => resolve(plain(error))).once('end', () => resolve('ended')));
  });
  assert.equal((await app.result()).code, 'ERR_HEAPDUMP_TIMEOUT');
});

test('a child that is killed half-way is an error, not an early end', async (t) => {
  const app = startApp(t, async ({ heapdump, fill, plain, say, once }) => {
    fill(20_000);
    const stream = heapdump.createSnapshotStream();
    const ended = new Promise((resolve) => {
      stream.once('error', (error) => resolve(plain(error)));
      stream.once('end', () => resolve('ended'));
    });
    await once(stream, 'readable');
    say('reading');
    await require('node:events').once(process.stdin, 'data');
    stream.resume();
    const told = await ended;
    process.stdin.destroy();
    return told;
  }, { spawn: { stdio: ['pipe', 'pipe', 'pipe'] } });
  const child = await snapshotChildOf(app);
  await app.says(/reading/);
  process.kill(child.pid, 'SIGKILL');
  await goneAfter(child);
  app.writeInput('read on');
  assert.equal((await app.result()).code, 'ERR_HEAPDUMP_CHILD_KILLED');
});

test('the stream goes through an HTTP response to a client, whole', async (t) => {
  const app = startApp(t, ({ heapdump, fill, say }) => {
    fill(10_000);
    const server = require('node:http').createServer((request, response) => {
      response.setHeader('connection', 'close');
      heapdump.createSnapshotStream({ compress: 'gzip' }).pipe(response);
      server.close();
    });
    server.listen(0, '127.0.0.1', () => say('port', server.address().port));
  });
  const port = (await app.says(/port (\d+)/))[1];
  const response = await fetch(`http://127.0.0.1:${port}/`);
  const { nodes } = await validateStream(Readable.fromWeb(response.body), { extension: 'gz' });
  assert.ok(nodes > 40_000);
  assert.equal((await app.ended()).code, 0);
});

test('onProgress is heard by a stream as well', async (t) => {
  const app = startApp(t, async ({ heapdump, fill, once }) => {
    fill(80_000);
    let heard = 0;
    const stream = heapdump.createSnapshotStream({ onProgress: () => heard++ });
    stream.resume();
    await once(stream, 'end');
    return heard;
  });
  assert.ok((await app.result()) >= 2);
});

test('several streams at once take their turns', async (t) => {
  const app = startApp(t, async ({ heapdump, once }) => Promise.all([1, 2, 3].map(async () => {
    const stream = heapdump.createSnapshotStream();
    let bytes = 0;
    stream.on('data', (chunk) => (bytes += chunk.length));
    const report = once(stream, 'report');
    await once(stream, 'end');
    return bytes === (await report).bytes;
  })));
  assert.deepEqual(await app.result(), [true, true, true]);
});

test('a stream that is destroyed at once, or while it waits its turn, costs nothing', async (t) => {
  const app = startApp(t, async ({ heapdump, promises, once }) => {
    const first = heapdump.createSnapshotStream();
    first.destroy();
    await once(first, 'close');
    const running = promises.writeSnapshot('/dev/null');
    const waiting = heapdump.createSnapshotStream();
    waiting.destroy(new Error('not needed'));
    const [error] = await Promise.all([once(waiting, 'error'), once(waiting, 'close')]);
    return [error.message, (await running).mode, (await promises.writeSnapshot('/dev/null')).mode];
  });
  assert.deepEqual(await app.result(), ['not needed', 'fork', 'fork']);
});

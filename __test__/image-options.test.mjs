// Heap images as callers ask for them: `output`, `lowMemory`, `embed`; what their files are called, and what is said of them.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { startApp } from './support/app.mjs';
import { needsTool } from './support/faults.mjs';
import { makeTemporaryDirectory, modeOf } from './support/files.mjs';
import { HAS_IMAGES, assertWholeImageFile, startShortOfMemory } from './support/images.mjs';

/** Where images cannot be, the one thing to see is that they are refused. */
const only = { skip: HAS_IMAGES ? false : 'images are of Linux x64' };

test("output: 'image' writes one, under an image's name", only, async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, promises }) => {
    const { promisify } = require('node:util');
    const report = await promises.writeSnapshot('a.heapsnapshot', { output: 'image' });
    const asked = { output: 'image' };
    const name = await new Promise((resolve) => heapdump.writeSnapshot('./b.heapsnapshot', asked, (error, filename) => resolve(error ?? filename)));
    const bytes = await new Promise((resolve) => heapdump.writeSnapshot(Buffer.from('c'), asked, (error, filename) => resolve(error ?? filename)));
    const ownName = await promisify(heapdump.writeSnapshot)('d.heapimage', asked);
    const byDefault = await promisify(heapdump.writeSnapshot)(asked);
    const { last } = heapdump.getStatus();
    return { report, name, bytes: bytes.toString(), isBuffer: Buffer.isBuffer(bytes), ownName, byDefault, last };
  }, { cwd: directory.path });
  const { report, name, bytes, isBuffer, ownName, byDefault, last } = await app.result();
  assert.deepEqual([report.kind, report.mode, report.path], ['image', 'fork', directory.at('a.heapimage')]);
  assert.deepEqual([report.nodes, report.edges], [0, 0]);
  assert.equal(assertWholeImageFile(report.path), report.bytes);
  assert.equal(modeOf(report.path), 0o600);
  assert.deepEqual([name, bytes, isBuffer, ownName], ['./b.heapimage', 'c.heapimage', true, 'd.heapimage']);
  assert.match(byDefault, /^heapdump-\d+\.\d+\.heapimage$/);
  assert.equal(last.kind, 'image');
  assert.deepEqual(directory.names(), ['a.heapimage', 'b.heapimage', 'c.heapimage', 'd.heapimage', byDefault].sort());
});

test('an image is compressed by zstd alone', only, async (t) => {
  if (!needsTool(t, 'zstd')) return;
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, plain }) => {
    const report = await promises.writeSnapshot('a.heapsnapshot', { output: 'image', compress: 'zstd' });
    const error = await promises.writeSnapshot('b', { output: 'image', compress: 'gzip' }).catch(plain);
    return { report, error };
  }, { cwd: directory.path });
  const { report, error } = await app.result();
  assert.equal(report.path, directory.at('a.heapimage.zst'));
  assert.equal(assertWholeImageFile(report.path), report.bytes);
  assert.deepEqual([error.name, error.code], ['TypeError', 'ERR_INVALID_ARG_VALUE']);
  assert.match(error.message, /"compress".*'zstd' or absent/);
  assert.deepEqual(directory.names(), ['a.heapimage.zst']);
});

test("embed: 'all' copies Node's binary too", only, async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises }) => {
    const auto = await promises.writeSnapshot('auto', { output: 'image' });
    const all = await promises.writeSnapshot('all', { output: 'image', embed: 'all' });
    return [auto.bytes, all.bytes];
  }, { cwd: directory.path });
  const [auto, all] = await app.result();
  assertWholeImageFile(directory.at('all.heapimage'));
  const binary = fs.statSync(process.execPath).size;
  assert.ok(all - auto > binary / 2, `${auto} bytes, and ${all} with a binary of ${binary}`);
});

test('a stream of an image says so, and nothing lands on disk', only, async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump }) => {
    const stream = heapdump.createSnapshotStream({ output: 'image' });
    let report;
    stream.on('report', (value) => (report = value));
    const chunks = await stream.toArray();
    const whole = Buffer.concat(chunks);
    const magics = [whole.toString('latin1', 0, 7), whole.toString('latin1', whole.length - 4096, whole.length - 4089)];
    return { kind: stream.kind, report, bytes: whole.length, magics };
  }, { cwd: directory.path });
  const { kind, report, bytes, magics } = await app.result();
  assert.deepEqual([kind, report.kind, report.bytes], ['image', 'image', bytes]);
  assert.deepEqual(magics, ['HEAPIMG', 'HEAPEND']);
  assert.deepEqual(directory.names(), []);
});

test('in process there is no image: a typed error, and no file', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, promises, plain }) => {
    const thrown = (act) => {
      try {
        return act();
      } catch (error) {
        return plain(error);
      }
    };
    const asked = { output: 'image', mode: 'inline' };
    const streamed = await new Promise((resolve) => heapdump.createSnapshotStream(asked).on('error', resolve).resume());
    return {
      sync: thrown(() => heapdump.writeSnapshotSync('a', { output: 'image' })),
      inline: await promises.writeSnapshot('b', asked).catch(plain),
      streamed: plain(streamed),
    };
  }, { cwd: directory.path });
  for (const [way, error] of Object.entries(await app.result())) {
    assert.equal(error.code, 'ERR_HEAPDUMP_IMAGE_UNSUPPORTED', `${way}: ${JSON.stringify(error)}`);
    if (HAS_IMAGES) assert.match(error.message, /forked child.*mode: 'inline'.*output: 'snapshot'/);
  }
  assert.deepEqual(directory.names(), []);
});

test('under nofork an image is refused too', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const env = { NODE_HEAPDUMP_OPTIONS: 'nofork' };
  const app = startApp(t, ({ promises, plain }) => promises.writeSnapshot('a', { output: 'image' }).catch(plain), { cwd: directory.path, env });
  assert.equal((await app.result()).code, 'ERR_HEAPDUMP_IMAGE_UNSUPPORTED');
  assert.deepEqual(directory.names(), []);
});

test('wrong words are a TypeError that names the right ones', async (t) => {
  const app = startApp(t, async ({ promises, plain }) => {
    const errors = [];
    for (const options of [{ output: 'core' }, { lowMemory: true }, { embed: 'none' }]) {
      errors.push(await promises.writeSnapshot('/dev/null', options).catch(plain));
    }
    return errors;
  });
  const errors = await app.result();
  assert.deepEqual(errors.map(({ code }) => code), Array(3).fill('ERR_INVALID_ARG_VALUE'));
  for (const [index, words] of ["'snapshot', 'image'", "'error', 'image'", "'auto', 'all'"].entries()) {
    assert.ok(errors[index].message.includes(words), errors[index].message);
  }
});

test('where memory is short the error names lowMemory, and lowMemory writes an image beside the name', only, async (t) => {
  if (!needsTool(t, 'prlimit')) return;
  const directory = makeTemporaryDirectory(t);
  fs.writeFileSync(directory.at('a.heapsnapshot'), 'an older one');
  fs.mkdirSync(directory.at('c.heapimage'));
  const app = await startShortOfMemory(t, async ({ heapdump, promises, fill, plain, short }) => {
    fill(1000);
    await short();
    const error = await promises.writeSnapshot('a.heapsnapshot').catch(plain);
    const report = await promises.writeSnapshot('a.heapsnapshot', { lowMemory: 'image', compress: 'gzip' });
    const name = await new Promise((resolve) => heapdump.writeSnapshot('b', { lowMemory: 'image' }, (failed, filename) => resolve(plain(failed) ?? filename)));
    const byDefault = await promises.writeSnapshot({ lowMemory: 'image', name: 'd' });
    const noPlace = await promises.writeSnapshot('c.heapsnapshot', { lowMemory: 'image' }).catch(plain);
    const stream = heapdump.createSnapshotStream({ lowMemory: 'image' });
    await require('node:events').once(stream, 'readable');
    const { kind } = stream;
    await stream.toArray();
    return { error, report, name, byDefault, noPlace, kind };
  }, { cwd: directory.path });
  const { error, report, name, byDefault, noPlace, kind } = await app.result();
  assert.equal(error.code, 'ERR_HEAPDUMP_NO_MEMORY');
  assert.match(error.message, /lowMemory: 'image'/);
  assert.deepEqual([report.kind, report.path], ['image', directory.at('a.heapimage.zst')]);
  assertWholeImageFile(report.path);
  assert.equal(fs.readFileSync(directory.at('a.heapsnapshot'), 'utf8'), 'an older one');
  assert.deepEqual([name, byDefault.path], ['b.heapimage', directory.at('d.heapimage')]);
  // What stands in the way of an image is told before memory is short.
  assert.equal(noPlace.code, 'EISDIR');
  assert.equal(kind, 'image');
  const left = ['a.heapimage.zst', 'a.heapsnapshot', 'b.heapimage', 'c.heapimage', 'd.heapimage'];
  assert.deepEqual(directory.names(), left);
});

test('where there is memory lowMemory changes nothing', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, promises }) => {
    const report = await promises.writeSnapshot('a.heapsnapshot', { lowMemory: 'image' });
    const stream = heapdump.createSnapshotStream({ lowMemory: 'image' });
    const text = Buffer.concat(await stream.toArray()).toString('latin1', 0, 12);
    return { report, kind: stream.kind, text };
  }, { cwd: directory.path });
  const { report, kind, text } = await app.result();
  assert.deepEqual([report.kind, report.path], ['snapshot', directory.at('a.heapsnapshot')]);
  assert.equal((await validateSnapshot(report.path)).nodes, report.nodes);
  assert.deepEqual([kind, text], ['snapshot', '{"snapshot":']);
  assert.deepEqual(directory.names(), ['a.heapsnapshot']);
});

for (const [words, extension] of [['image', '.heapimage'], ['gzip,image,embed=auto', '.heapimage.zst'], ['image,snapshot', '.heapsnapshot']]) {
  test(`NODE_HEAPDUMP_OPTIONS=${words}: what the signal's dump is`, only, async (t) => {
    const directory = makeTemporaryDirectory(t);
    const app = startApp(t, ({ heapdump, say, stayAlive }) => {
      stayAlive();
      say('ready', typeof heapdump);
    }, { env: { NODE_HEAPDUMP_OPTIONS: `${words},announce,dir=${directory.path}` } });
    await app.says(/ready/);
    app.kill('SIGUSR2');
    const [, file, more] = await app.says(/SIGUSR2: (\/.*\/heapdump-\d+\.\d+\.heap\S+) is complete(.*);/, { on: 'stderr' });
    assert.ok(file.endsWith(extension), file);
    assert.deepEqual(directory.names(), [path.basename(file)]);
    if (extension === '.heapsnapshot') await validateSnapshot(file);
    else {
      assertWholeImageFile(file);
      assert.match(more, /node-snapshot --image/);
    }
    assert.doesNotMatch(app.stderr, /unrecognized/);
  });
}

test('NODE_HEAPDUMP_OPTIONS=low-memory=image: a dump of the signal that would not fit is an image', only, async (t) => {
  if (!needsTool(t, 'prlimit')) return;
  const directory = makeTemporaryDirectory(t);
  const app = await startShortOfMemory(t, async ({ heapdump, say, short, stayAlive }) => {
    say(typeof heapdump);
    stayAlive();
    await short();
    say('is short');
  }, { env: { NODE_HEAPDUMP_OPTIONS: `low-memory=image,announce,dir=${directory.path}` } });
  await app.says(/is short/);
  app.kill('SIGUSR2');
  const [, file] = await app.says(/SIGUSR2: (\S+) is complete/, { on: 'stderr' });
  assert.match(path.basename(file), /^heapdump-\d+\.\d+\.heapimage$/);
  assertWholeImageFile(file);
  assert.deepEqual(directory.names(), [path.basename(file)]);
});

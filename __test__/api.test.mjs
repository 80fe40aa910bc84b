// The API beyond node-heapdump's: promises, reports, progress, options, ESM. Stopping, queueing and streams have files
// of their own.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { canReadZstd, validateSnapshot } from '../harness/validate.mjs';
import { NODE_MAJOR, ROOT, startApp, startProgram } from './support/app.mjs';
import { isSnapshotName, makeTemporaryDirectory, modeOf } from './support/files.mjs';

test('promises.writeSnapshot resolves with a report that agrees with the file', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ promises }) => promises.writeSnapshot('a.heapsnapshot'), { cwd: directory.path });
  const report = await app.result();
  const file = path.join(fs.realpathSync(directory.path), 'a.heapsnapshot');
  const counts = await validateSnapshot(file);
  assert.equal(report.path, file);
  assert.equal(report.bytes, fs.statSync(file).size);
  assert.equal(report.nodes, counts.nodes);
  assert.equal(report.edges, counts.edges);
  assert.equal(report.mode, 'fork');
  assert.equal(report.fallbackReason, undefined);
  assert.equal(report.attempts, 1);
  for (const time of ['pause', 'barrierWait', 'forkTime']) assert.ok(report[time] >= 0 && report[time] < report.duration, time);
  assert.ok(report.forkTime <= report.pause);
  assert.ok(report.childPrivateMemory > report.bytes && report.childPeakMemory >= report.childPrivateMemory);
});

test('a report of a snapshot in process says so', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, promises }) => [
    heapdump.writeSnapshotSync('sync'),
    await promises.writeSnapshot('inline', { mode: 'inline' }),
  ], { cwd: directory.path });
  for (const report of await app.result()) {
    const counts = await validateSnapshot(report.path);
    assert.deepEqual([report.nodes, report.edges, report.bytes], [counts.nodes, counts.edges, counts.bytes]);
    assert.deepEqual([report.mode, report.attempts, report.childPeakMemory], ['inline', 0, 0]);
    assert.ok(report.pause > 0 && report.pause <= report.duration);
  }
});

test('the promise rejects with the error, and never throws at once', async (t) => {
  const app = startApp(t, async ({ promises, plain }) => {
    const outcomes = [];
    for (const args of [['/does/not/exist/a'], ['a\0b'], ['a', { mode: 'sideways' }], ['a', 'no options']]) {
      const promise = promises.writeSnapshot(...args);
      outcomes.push(await promise.then(() => 'resolved', plain));
    }
    return outcomes;
  });
  const codes = (await app.result()).map(({ code, message }) => code ?? message);
  assert.deepEqual(codes, ['ENOENT', 'ERR_INVALID_ARG_VALUE', 'ERR_INVALID_ARG_VALUE', 'cb is not a function']);
});

test('an options object stands before the callback, with or without a name', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ heapdump }) => Promise.all([
    new Promise((resolve) => heapdump.writeSnapshot('named', { compress: 'gzip' }, (error, name) => resolve([error, name]))),
    new Promise((resolve) => heapdump.writeSnapshot({ compress: 'gzip' }, (error, name) => resolve([error, name]))),
    new Promise((resolve) => heapdump.writeSnapshot(undefined, { fileMode: 0o640 }, (error, name) => resolve([error, name]))),
  ]), { cwd: directory.path });
  const [[e1, named], [e2, byDefault], [e3, plain]] = await app.result();
  assert.deepEqual([e1, e2, e3], [null, null, null]);
  assert.equal(named, 'named.gz');
  assert.ok(isSnapshotName(byDefault.replace(/\.gz$/, '')) && byDefault.endsWith('.gz'), byDefault);
  assert.equal(modeOf(directory.at(plain)), 0o640);
  assert.deepEqual(directory.names(), [named, byDefault, plain].sort());
  for (const name of directory.names()) await validateSnapshot(directory.at(name));
});

test('compressed files get their extension and decompress to whole snapshots', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, fill }) => {
    fill(20_000);
    const reports = [];
    for (const mode of ['fork', 'inline']) {
      for (const compress of ['gzip', 'zstd']) reports.push(await promises.writeSnapshot(`${mode}-${compress}`, { mode, compress }));
    }
    return reports;
  }, { cwd: directory.path });
  const reports = await app.result();
  assert.deepEqual(reports.map((report) => path.basename(report.path)), ['fork-gzip.gz', 'fork-zstd.zst', 'inline-gzip.gz', 'inline-zstd.zst']);
  for (const report of reports) {
    assert.equal(report.bytes, fs.statSync(report.path).size);
    if (report.path.endsWith('.zst') && !canReadZstd()) {
      t.diagnostic('zstd: only the magic number was checked, there is nothing here to decompress with');
      assert.equal(fs.readFileSync(report.path).readUInt32LE(0), 0xfd2fb528);
      continue;
    }
    const counts = await validateSnapshot(report.path);
    assert.deepEqual([report.nodes, report.edges], [counts.nodes, counts.edges]);
    assert.ok(report.bytes * 3 < counts.bytes, `${report.bytes} of ${counts.bytes}`);
  }
});

test('fileMode is what the file gets, whatever the umask', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises }) => {
    process.umask(0o077);
    await promises.writeSnapshot('fork', { fileMode: 0o664 });
    await promises.writeSnapshot('inline', { fileMode: 0o440, mode: 'inline' });
  }, { cwd: directory.path });
  await app.result();
  assert.equal(modeOf(directory.at('fork')), 0o664);
  assert.equal(modeOf(directory.at('inline')), 0o440);
});

test('exposeNumericValues shows numbers, exposeInternals shows more objects', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises }) => {
    globalThis.kept = { marked: 7654321.25 };
    for (const mode of ['fork', 'inline']) {
      await promises.writeSnapshot(`${mode}-plain`, { mode });
      await promises.writeSnapshot(`${mode}-numbers`, { mode, exposeNumericValues: true });
      await promises.writeSnapshot(`${mode}-internals`, { mode, exposeInternals: true });
    }
  }, { cwd: directory.path });
  await app.result();
  for (const mode of ['fork', 'inline']) {
    const plain = await validateSnapshot(directory.at(`${mode}-plain`), { strings: true });
    const numbers = await validateSnapshot(directory.at(`${mode}-numbers`), { strings: true });
    const internals = await validateSnapshot(directory.at(`${mode}-internals`));
    assert.ok(!plain.stringTable.includes('7654321.25'), mode);
    assert.ok(numbers.stringTable.includes('7654321.25'), mode);
    assert.notEqual(internals.nodes, plain.nodes, mode);
  }
});

test('wrong options are refused by name, and nothing is written', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const wrong = [
    ['mode', 'sideways'], ['compress', 'rar'], ['compress', true], ['fallback', 'no'], ['busy', 'wait'],
    ['fileMode', -1], ['fileMode', 0o1000], ['fileMode', '600'], ['fileMode', 1.5],
    ['timeout', 0], ['timeout', -5], ['timeout', '5'], ['timeout', 1e400],
    ['exposeInternals', 1], ['exposeNumericValues', 'yes'], ['stableIds', null], ['onProgress', {}], ['signal', {}],
  ];
  const app = startApp(t, async ({ heapdump, promises, plain, args }) => {
    const outcomes = [];
    for (let [name, value] of args.wrong) {
      if (value === null && name === 'timeout') value = Infinity;
      const options = { [name]: value };
      const attempt = (call) => {
        try {
          return call();
        } catch (error) {
          return plain(error);
        }
      };
      outcomes.push([
        await promises.writeSnapshot('a', options).catch(plain),
        attempt(() => heapdump.writeSnapshotSync('b', options)),
        attempt(() => heapdump.writeSnapshot('c', options, () => {})),
        attempt(() => heapdump.createSnapshotStream(options)),
      ]);
    }
    return outcomes;
  }, { cwd: directory.path, args: { wrong } });
  const outcomes = await app.result();
  outcomes.forEach((errors, i) => {
    for (const error of errors) {
      assert.match(String(error.code), /^ERR_INVALID_ARG_(TYPE|VALUE)$/, JSON.stringify([wrong[i], error]));
      assert.ok(error.name === 'TypeError' || error.name === 'RangeError', error.name);
      assert.ok(error.message.includes(wrong[i][0]), error.message);
    }
  });
  assert.deepEqual(directory.names(), []);
});

test('options that are undefined are as if they were not there', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, ({ promises }) => promises.writeSnapshot('a', {
    mode: undefined, compress: undefined, exposeInternals: undefined, exposeNumericValues: undefined, stableIds: undefined,
    fileMode: undefined, fallback: undefined, signal: undefined, onProgress: undefined, timeout: undefined, busy: undefined,
  }), { cwd: directory.path });
  assert.equal((await app.result()).mode, 'fork');
  assert.equal(modeOf(directory.at('a')), 0o600);
});

test('onProgress hears of growing numbers, and not after the end', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, fill }) => {
    fill(100_000);
    const heard = [];
    let ended = false;
    const report = await promises.writeSnapshot('a', { onProgress: (progress) => heard.push({ ...progress, ended }) });
    ended = true;
    await new Promise((resolve) => setTimeout(resolve, 150));
    return { heard, report };
  }, { cwd: directory.path });
  const { heard, report } = await app.result();
  assert.ok(heard.length >= 2, `heard ${heard.length} times`);
  const stages = ['collecting', 'recording', 'writing', 'complete'];
  heard.forEach((progress, i) => {
    const before = heard[i - 1] ?? { stage: 'collecting', done: 0, bytes: 0 };
    assert.ok(stages.indexOf(progress.stage) >= stages.indexOf(before.stage), `${before.stage}, ${progress.stage}`);
    assert.ok(progress.bytes >= before.bytes && progress.bytes <= report.bytes);
    assert.equal(progress.ended, false);
  });
  assert.ok(heard.some(({ done, total }) => done > 0 && total > 0));
});

test('stableIds: two dumps agree on the ids of objects that live in both', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, fill }) => {
    class Marked {
      constructor(i) {
        this.name = `marked ${i}`;
      }
    }
    globalThis.marked = Array.from({ length: 2000 }, (_, i) => new Marked(i));
    fill(5000);
    for (const name of ['a', 'b']) {
      await promises.writeSnapshot(name, { stableIds: true });
      // Between the two the heap is moved about.
      for (let i = 0; i < 20; i++) globalThis.garbage = Array.from({ length: 20_000 }, (_, j) => ({ j }));
    }
  }, { cwd: directory.path });
  await app.result();
  const [first, second] = await Promise.all(['a', 'b'].map((name) => idsOf(directory.at(name), 'Marked')));
  assert.ok(first.size >= 2000, `${first.size} objects`);
  const shared = [...first].filter((id) => second.has(id)).length;
  assert.ok(shared >= first.size * 0.95, `${shared} of ${first.size}`);
});

/** Ids of the nodes of type object with that name. */
async function idsOf(file, name) {
  const rows = [];
  const { header, stringTable } = await validateSnapshot(file, { strings: true, onNode: (row) => rows.push([...row]) });
  const { node_fields, node_types } = header.meta;
  const [type, title, id] = ['type', 'name', 'id'].map((field) => node_fields.indexOf(field));
  const object = node_types[type].indexOf('object');
  return new Set(rows.filter((row) => row[type] === object && stringTable[row[title]] === name).map((row) => row[id]));
}

test('ESM: named imports of the main entry and of promises', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const program = directory.at('program.mjs');
  fs.writeFileSync(program, `
    import heapdump, { writeSnapshot, writeSnapshotSync, createSnapshotStream, getStatus } from ${JSON.stringify(pathToFileURL(path.join(ROOT, 'index.js')).href)};
    import promises, { writeSnapshot as inPromise } from ${JSON.stringify(pathToFileURL(path.join(ROOT, 'lib/promises.js')).href)};
    console.log([writeSnapshot, writeSnapshotSync, createSnapshotStream, getStatus, inPromise].map((f) => typeof f).join());
    console.log(heapdump.writeSnapshot === writeSnapshot, promises.writeSnapshot === inPromise);
    console.log((await inPromise('a.heapsnapshot')).mode);
  `);
  const app = startProgram(t, [process.execPath, program], { cwd: directory.path });
  const { code, stdout, stderr } = await app.ended();
  assert.equal(stdout, `${'function,'.repeat(5).slice(0, -1)}\ntrue true\nfork\n`, stderr);
  assert.equal(code, 0);
});

test('by its own name: require and import find the entries of the exports map and nothing else', async (t) => {
  const app = startApp(t, async ({ plain }) => {
    const outcomes = [];
    for (const name of ['heapdump-rs', 'heapdump-rs/promises', 'heapdump-rs/package.json', 'heapdump-rs/lib/snapshot.js']) {
      try {
        outcomes.push(typeof require(name));
      } catch (error) {
        outcomes.push(plain(error).code);
      }
    }
    return outcomes;
  }, { cwd: ROOT });
  assert.deepEqual(await app.result(), ['object', 'object', 'object', 'ERR_PACKAGE_PATH_NOT_EXPORTED']);
});

test('getStatus tells what runs, what waits and how the last one ended', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ heapdump, promises, fill }) => {
    fill(20_000);
    const before = heapdump.getStatus();
    const dumps = Promise.all([promises.writeSnapshot('a'), promises.writeSnapshot('b')]);
    const during = heapdump.getStatus();
    await dumps;
    // The driving thread may still be on its way out when the callback runs.
    while (heapdump.getStatus().inProgress) await new Promise(setImmediate);
    const after = heapdump.getStatus();
    await promises.writeSnapshot('/dev/full').catch(() => {});
    return { before, during, after, failed: heapdump.getStatus() };
  }, { cwd: directory.path });
  const { before, during, after, failed } = await app.result();
  assert.deepEqual([before.inProgress, before.running, before.waiting, before.last], [false, 0, 0, undefined]);
  assert.equal(during.inProgress, true);
  assert.equal(during.running + during.waiting, 2);
  assert.deepEqual([after.inProgress, after.running, after.waiting], [false, 0, 0]);
  assert.equal(after.last.mode, 'fork');
  assert.ok(after.last.pause > 0 && after.last.forkTime > 0 && after.last.childPrivateMemory > 0);
  assert.match(failed.lastError.message, /write/);
});

test('diagnostics_channel hears of start, end and error', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ promises, plain }) => {
    const heard = [];
    require('node:diagnostics_channel').subscribe('heapdump-rs:snapshot', (message) => heard.push({
      type: message.type, path: message.path, report: message.report, error: message.error && plain(message.error),
    }));
    const report = await promises.writeSnapshot('a');
    await promises.writeSnapshot('no/such/directory').catch(() => {});
    await promises.writeSnapshot('/dev/full').catch(() => {});
    return { heard, report };
  }, { cwd: directory.path });
  const { heard, report } = await app.result();
  assert.deepEqual(heard[1].report, report);
  const ends = heard.filter(({ type }) => type !== 'start').map(({ type, error }) => [type, error?.code]);
  assert.deepEqual(ends, [['end', undefined], ['error', 'ENOENT'], ['error', 'ENOSPC']]);
  const first = heard.findIndex(({ type }) => type === 'end');
  assert.equal(heard[0].type, 'start');
  assert.equal(first, 1);
});

test('what the package exports under an old Node and a new one is loaded without a warning', async (t) => {
  const app = startApp(t, ({ heapdump, promises }) => [typeof heapdump, typeof promises], {
    nodeOptions: NODE_MAJOR >= 20 ? ['--throw-deprecation', '--pending-deprecation'] : ['--throw-deprecation'],
  });
  assert.deepEqual(await app.result(), ['object', 'object']);
  assert.equal(app.stderr, '');
});

// heapdump-rs/test: what a test that looks for leaks says, of what leaks and of what does not.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { expectNoLeak, LeakError } from 'heapdump-rs/test';

import { runScript } from './support/leak-tests.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';

const works = createRequire(import.meta.url)('./leak-tests/works.cjs');
const [leak, repaired] = works.leaks.map;

test('a leak is an error that says what grew, where it is held and what to do', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const error = await expectNoLeak(leak, { iterations: 5, directory: directory.path }).catch((reason) => reason);
  assert.ok(error instanceof LeakError, error?.stack);
  assert.equal(error.code, 'ERR_HEAPDUMP_LEAK');
  assert.match(error.message, /Session objects.*about \d+ B a run.*works\.cjs: sessions → Map → \[key\] → Session.*\. Delete entries/);
  const [suspect] = error.suspects;
  assert.deepEqual([suspect.class, suspect.counts, suspect.package], ['Session', [5, 45, 60, 65], '(application)']);
  assert.match(suspect.keptBy, /works\.cjs$/);
  // Those of the second look.
  assert.equal(error.snapshots.length, 4);
  for (const file of error.snapshots) assert.ok(file.startsWith(directory.path) && file.endsWith('.heapsnapshot.zst') && fs.existsSync(file));
  // And a page of what grew over them.
  assert.ok(error.message.endsWith(`Report: ${error.report}`));
  assert.match(fs.readFileSync(error.report, 'utf8'), /<title>[^<]*It grew by [^<]* over 4 snapshots/);
});

test('what leaves nothing passes, and leaves no file', async (t) => {
  const directory = makeTemporaryDirectory(t);
  await expectNoLeak(repaired, { iterations: 5, directory: directory.path });
  assert.deepEqual(directory.names(), []);
});

test('what may grow is allowed by words, by a rule, or by bytes', async () => {
  const options = { iterations: 5, warmup: 5 };
  await expectNoLeak(leak, { ...options, allow: 'works.cjs: sessions' });
  await expectNoLeak(leak, { ...options, allow: [/^nothing$/, (suspect) => suspect.class === 'Session'] });
  await expectNoLeak(leak, { ...options, max: 10_000 });
});

test('what the work rejects with is passed on, and wrong options are told', async () => {
  const failing = expectNoLeak(async (run) => { if (run === 3) throw new RangeError('no more'); }, { iterations: 5 });
  await assert.rejects(failing, { name: 'RangeError', message: 'no more' });
  for (const options of [{ iterations: 4 }, { warmup: 0 }, { max: -1 }, { allow: 5 }, { directory: 5 }, null]) {
    await assert.rejects(expectNoLeak(() => {}, options), { code: /^ERR_INVALID_ARG_/ });
  }
  await assert.rejects(expectNoLeak('work'), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('under GitHub Actions a leak is an annotation at its code', async () => {
  const env = { GITHUB_ACTIONS: 'true', GITHUB_WORKSPACE: import.meta.dirname };
  const { stdout } = await runScript(`
    const { expectNoLeak } = require('heapdump-rs/test');
    const { leaks } = require('./leak-tests/works.cjs');
    expectNoLeak(leaks.listeners[0], { iterations: 5 }).catch(() => {});
  `, env);
  assert.match(stdout, /^::error file=leak-tests\/works\.cjs,line=\d+,col=\d+,title=Memory leak::\d+ more functions/m);
});

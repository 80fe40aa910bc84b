// Snapshots without their texts: who asks for them, and that nobody gets another where the process demands it.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { differences, figures } from './redact/compare.mjs';
import { startApp } from './support/app.mjs';
import { runCommand } from './support/command.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { HAS_IMAGES } from './support/images.mjs';

const SECRET = ['tomorrow', 'belongs', 'to', 'us'];
const KEY = 'a key that only these tests have';

/** A program with a secret that is in none of its own texts, and one name that code gave. */
const keeper = async ({ promises, heapdump, args }) => {
  globalThis.sessionsByUser = { password: args.secret.join('-'), list: [args.secret.join('+')] };
  class SessionStore { constructor() { this.openedAt = args.secret.join('/'); } }
  globalThis.store = new SessionStore();
  const { pipeline } = require('node:stream/promises');
  const written = [];
  for (const [file, { stream, ...options }] of Object.entries(args.files)) {
    try {
      if (stream) await pipeline(heapdump.createSnapshotStream(options), require('node:fs').createWriteStream(file));
      else await promises.writeSnapshot(file, options);
      written.push(file);
    } catch (error) {
      written.push(`${error.code}: ${error.message}`);
    }
  }
  return written;
};

const run = (t, directory, files, env = {}) =>
  startApp(t, keeper, { cwd: directory.path, env, args: { secret: SECRET, files } }).result();

function hasSecret(file) {
  const text = fs.readFileSync(file, 'utf8');
  return ['-', '+', '/'].some((joint) => text.includes(SECRET.join(joint)));
}

test('a redacted snapshot is whole, has no text, and has the names that code gave', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const files = { 'plain': {}, 'forked': { redact: true }, 'numbers': { redact: true, exposeNumericValues: true, exposeInternals: true } };
  files.inline = { redact: true, mode: 'inline' };
  files.streamed = { redact: true, stream: true };
  files['streamed in process'] = { redact: true, stream: true, mode: 'inline' };
  assert.deepEqual(await run(t, directory, files), Object.keys(files));
  assert.ok(hasSecret(directory.at('plain')));
  for (const name of Object.keys(files).slice(1)) {
    await validateSnapshot(directory.at(name));
    assert.ok(!hasSecret(directory.at(name)), name);
    const { snapshot, strings } = JSON.parse(fs.readFileSync(directory.at(name), 'utf8'));
    assert.deepEqual([snapshot.redacted.by, snapshot.redacted.key, snapshot.redacted.paths], ['heapdump-rs', 'random', 'kept'], name);
    // V8 of Node.js 20 to 26 shows with its own objects no way from the root to the global object.
    const variables = name === 'numbers' ? [] : ['sessionsByUser'];
    for (const kept of [...variables, 'SessionStore', 'openedAt', 'password']) assert.ok(strings.includes(kept), `${name}: ${kept}`);
  }
});

test('a process that demands it writes nothing else, whatever a caller says', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const files = { a: { redact: false }, b: { stream: true }, c: { mode: 'inline', redact: false }, d: { redact: { key: KEY } } };
  await run(t, directory, files, { NODE_HEAPDUMP_OPTIONS: 'redact=paths,nosignal' });
  for (const name of Object.keys(files)) {
    assert.ok(!hasSecret(directory.at(name)), name);
    const { redacted } = JSON.parse(fs.readFileSync(directory.at(name), 'utf8')).snapshot;
    assert.deepEqual([redacted.paths, redacted.key], ['hidden', name === 'd' ? 'given' : 'random']);
    assert.ok(!fs.readFileSync(directory.at(name), 'utf8').includes('/__test__/'), name);
  }
});

test('an image is refused where texts are to be taken out', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const [asked] = await run(t, directory, { a: { redact: true, output: 'image' } });
  assert.match(asked, /^ERR_INVALID_ARG_VALUE: .*output.*redact/);
  const [demanded] = await run(t, directory, { b: { output: 'image' } }, { NODE_HEAPDUMP_OPTIONS: 'redact' });
  assert.match(demanded, /^ERR_INVALID_ARG_VALUE/);
  assert.deepEqual(directory.names(), []);
});

test('a signal is not answered with an image of what is to be redacted', { skip: HAS_IMAGES ? false : 'images are of Linux x64' }, async (t) => {
  const directory = makeTemporaryDirectory(t);
  const body = ({ heapdump, say, stayAlive }) => {
    heapdump.getStatus();
    stayAlive();
    say('ready');
  };
  const app = startApp(t, body, { cwd: directory.path, env: { NODE_HEAPDUMP_OPTIONS: 'redact,image,announce' } });
  await app.says(/^ready/m);
  app.kill('SIGUSR2');
  await app.says(/to be redacted/, { on: 'stderr' });
  assert.deepEqual(directory.names(), []);
});

test('wrong options are told, and a key in none of the messages', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const wrong = { a: { redact: 'yes' }, b: { redact: { key: 'hunter2' } }, c: { redact: { keys: 1 } }, d: { redact: { paths: 1 } } };
  const told = await run(t, directory, wrong);
  assert.match(told[0], /^ERR_INVALID_ARG_TYPE/);
  assert.match(told[1], /^ERR_INVALID_ARG_VALUE: .*16 bytes/);
  assert.ok(!told[1].includes('hunter2'));
  assert.match(told[2], /^ERR_INVALID_ARG_VALUE/);
  assert.match(told[3], /^ERR_INVALID_ARG_TYPE/);
});

test('redact and its audit, on files: one key gives one pseudonym, and the graph is the same', async (t) => {
  const directory = makeTemporaryDirectory(t);
  await run(t, directory, { plain: {} });
  const at = directory.at;
  const cli = async (...args) => {
    const { code, stdout, stderr } = await runCommand(t, args);
    return { code, stdout, stderr };
  };
  for (const name of ['one', 'two.gz']) assert.equal((await cli('redact', at('plain'), at(name), '--key', KEY)).code, 0);
  assert.deepEqual(differences(at('plain'), at('one')), []);
  assert.ok(!hasSecret(at('one')));
  const unpacked = (await import('node:zlib')).gunzipSync(fs.readFileSync(at('two.gz')));
  assert.ok(unpacked.equals(fs.readFileSync(at('one'))));
  const told = await cli('validate', at('one'));
  assert.match(told.stdout, /a whole snapshot, .* redacted with a key that was given/);
  const strings = (text) => /([\d,]+) strings/.exec(text)[1];
  assert.equal(strings(told.stdout), strings((await cli('validate', at('plain'))).stdout));
  assert.equal((await cli('redact', at('one'), at('three'))).code, 2);
  assert.equal((await cli('redact', '--audit', at('one'))).code, 0);
  assert.deepEqual(directory.names(), ['one', 'plain', 'two.gz']);
});

/** Forty pairs of objects whose names DevTools cuts off behind the last property that they have in common, or not: by a unit or two. */
const similar = async ({ promises, args }) => {
  globalThis.kept = [];
  for (let group = 0; group < 40; group++) {
    const names = Array.from({ length: 9 }, (_, at) => `k-${group}-${at}`.padEnd(10, 'x'));
    for (const last of ['a', 'b', 'a', 'b']) {
      // {, nine names of ten units, a comma and a space behind each, and what is left up to 120.
      kept.push(Object.fromEntries([...names, `${last}-`.padEnd(10 + (group % 5), 'y')].map((name) => [name, kept])));
    }
  }
  await promises.writeSnapshot(args.file, {});
};

test('the same objects make a class, however their properties are called', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const { at } = directory;
  await startApp(t, similar, { cwd: directory.path, args: { file: 'plain' } }).result();
  const summary = async (file) => JSON.parse((await runCommand(t, ['summary', at(file), '--json', '--limit', '0'])).stdout);
  const plain = await summary('plain');
  const groups = plain.classes.filter(({ name }) => name.startsWith('{k-'));
  assert.deepEqual(new Set(groups.map(({ count }) => count)), new Set([2, 4]));
  for (const key of ['one key of sixteen', 'another key of sixteen', 'a third key of sixteen']) {
    assert.equal((await runCommand(t, ['redact', at('plain'), at(key), '--key', key])).code, 0);
    assert.equal(figures(await summary(key)), figures(plain), key);
  }
});

test('the audit finds what looks like a secret, and shows no more of it than it must', async (t) => {
  const directory = makeTemporaryDirectory(t);
  await run(t, directory, { plain: {} });
  const text = fs.readFileSync(directory.at('plain'), 'utf8');
  fs.writeFileSync(directory.at('mail'), text.replace(SECRET.join('-'), 'ann.smith@example.org'));
  const { code, stdout } = await runCommand(t, ['redact', '--audit', directory.at('mail'), '--json']);
  assert.equal(code, 1);
  const { found, families } = JSON.parse(stdout);
  assert.ok(families.some(({ family, place, strings }) => family === 'mail' && place === 'text' && strings >= 1));
  assert.ok(!stdout.includes('ann.smith'));
  assert.equal((await runCommand(t, ['redact', '--audit', directory.at('mail'), '--threshold', String(found)])).code, 0);
});

test('node-snapshot --redact takes the texts out before they reach the disk', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const body = ({ args }) => {
    globalThis.password = args.secret.join('-');
    const { snapshotHandler } = require('../../lib/http.js');
    const server = require('node:http').createServer(snapshotHandler({ token: 'x'.repeat(32), minInterval: 0 }));
    return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));
  };
  const port = await startApp(t, body, { args: { secret: SECRET } }).returned();
  const file = directory.at('a.heapsnapshot');
  const { code, stderr } = await runCommand(t, ['node-snapshot', '--endpoint', `http://127.0.0.1:${port}/`, '--token', 'x'.repeat(32), '--output', file, '--redact']);
  assert.equal(code, 0, stderr);
  assert.ok(!hasSecret(file));
});

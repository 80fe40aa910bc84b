// Heap images for their recipients alone: nothing of them is written in clear, and who has the key makes a snapshot of them.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { checkSnapshot, startSubject } from './outside/subject.mjs';
import { ageKey, answerSignals } from './support/age.mjs';
import { startApp } from './support/app.mjs';
import { runCommand } from './support/command.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { HAS_IMAGES, startShortOfMemory } from './support/images.mjs';
import { waitFor } from './support/processes.mjs';

const require = createRequire(import.meta.url);
const { filesLeft } = require('../lib/monitor-files.js');
const { sidecarFor } = require('../lib/sidecar.js');

const only = { skip: HAS_IMAGES ? false : 'images are of Linux x64' };

const SECRET = ['the', 'walrus', 'was', 'paul'];
/** What images have in clear: how they begin and end, how a compressed one begins, the secret. */
const CLEAR = ['HEAPIMG\0', 'HEAPEND\0', '\x28\xb5\x2f\xfd\x04', SECRET.join('-')];

/** A directory with a key's identity in `key`. */
function prepared(t) {
  const directory = makeTemporaryDirectory(t);
  const key = ageKey();
  fs.writeFileSync(directory.at('key'), `${key.identity}\n`);
  return { directory, key, at: directory.at, written: () => directory.names().filter((name) => name !== 'key') };
}

/** Nothing of it is in clear, and its recipient makes a whole snapshot of it, with its secret. */
async function assertSealed(t, file, identity) {
  const bytes = fs.readFileSync(file);
  assert.ok(bytes.toString('latin1', 0, 21) === 'age-encryption.org/v1', file);
  for (const clear of CLEAR) assert.ok(!bytes.includes(clear, 0, 'latin1'), `${file}: ${clear}`);
  const snapshot = `${file}.heapsnapshot`;
  const { code, stderr } = await runCommand(t, ['node-snapshot', '--image', file, '--identity', identity, '--output', snapshot]);
  assert.equal(code, 0, stderr);
  const { stringTable } = await validateSnapshot(snapshot, { strings: true });
  assert.ok(stringTable.includes(SECRET.join('-')), file);
  fs.unlinkSync(snapshot);
}

/** A program with a secret that is in none of its own texts; what it says of each file. */
const keeper = async ({ promises, heapdump, args }) => {
  globalThis.password = args.secret.join('-');
  const { pipeline } = require('node:stream/promises');
  const written = {};
  for (const [file, { stream, ...options }] of Object.entries(args.files)) {
    if (stream) await pipeline(heapdump.createSnapshotStream(options), require('node:fs').createWriteStream(file));
    else written[file] = await promises.writeSnapshot(file, options);
  }
  return written;
};

test('an image is encrypted while it is written, redacted or not: who has the key makes a snapshot of it', only, async (t) => {
  const { directory, key, at, written } = prepared(t);
  const asked = { output: 'image', encryptTo: [key.recipient, ageKey().recipient] };
  const files = { 'a.heapsnapshot': asked, b: { ...asked, compress: 'zstd', redact: true }, 'c.heapimage.age': { ...asked, stream: true } };
  const reports = await startApp(t, keeper, { cwd: directory.path, args: { secret: SECRET, files } }).result();
  const names = ['a.heapimage.age', 'b.heapimage.zst.age', 'c.heapimage.age'];
  assert.deepEqual(written(), names);
  assert.deepEqual(Object.values(reports).map(({ path, kind }) => [path, kind]), [[at(names[0]), 'image'], [at(names[1]), 'image']]);
  assert.equal(reports['a.heapsnapshot'].bytes, fs.statSync(at(names[0])).size);
  for (const name of names) await assertSealed(t, at(name), at('key'));
});

test('without its key an image is not read, and the message says which option has it', only, async (t) => {
  const { directory, key, at, written } = prepared(t);
  const files = { a: { output: 'image', encryptTo: key.recipient } };
  await startApp(t, keeper, { cwd: directory.path, args: { secret: SECRET, files } }).result();
  fs.writeFileSync(at('other'), `${ageKey().identity}\n`);
  const refused = async (...identity) => {
    const result = await runCommand(t, ['node-snapshot', '--image', at('a.heapimage.age'), ...identity, '--output', at('a.heapsnapshot')]);
    assert.equal(result.code, 2, result.stderr);
    return result.stderr;
  };
  assert.match(await refused(), /is encrypted: --identity FILE/);
  assert.match(await refused('--identity', at('other')), /other recipients/);
  const file = fs.readFileSync(at('a.heapimage.age'));
  file[file.length >> 1] ^= 1;
  fs.writeFileSync(at('a.heapimage.age'), file);
  assert.match(await refused('--identity', at('key')), /changed, or is cut off \[ERR_HEAPDUMP_IMAGE_INVALID\]/);
  assert.deepEqual(written().sort(), ['a.heapimage.age', 'other']);
});

test('a command that reads snapshots reads it too', only, async (t) => {
  const { directory, key, at } = prepared(t);
  const files = { a: { output: 'image', encryptTo: key.recipient } };
  await startApp(t, keeper, { cwd: directory.path, args: { secret: SECRET, files } }).result();
  for (const [command, ...more] of [['validate'], ['report', '-o', '-', '--format', 'md']]) {
    const { code, stdout, stderr } = await runCommand(t, [command, at('a.heapimage.age'), ...more, '--identity', at('key')]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, command === 'validate' ? /a whole snapshot/ : /heap/i);
  }
  const check = await runCommand(t, ['node-snapshot', '--image', at('a.heapimage.age'), '--check', '--identity', at('key')]);
  assert.equal(check.code, 0, check.stderr);
  assert.match(check.stdout, /This machine will do/);
});

test('where a redacted snapshot does not fit, the image is written encrypted', only, async (t) => {
  const { directory, key, at, written } = prepared(t);
  const app = await startShortOfMemory(t, async ({ promises, short, args }) => {
    globalThis.password = args.secret.join('-');
    globalThis.kept = Array.from({ length: 300_000 }, (_, id) => ({ id }));
    await short();
    return promises.writeSnapshot('a.heapsnapshot', { lowMemory: 'image', redact: true, encryptTo: args.recipient });
  }, { cwd: directory.path, args: { recipient: key.recipient, secret: SECRET } });
  const { kind } = await app.result();
  assert.equal(kind, 'image');
  assert.deepEqual(written(), ['a.heapimage.age']);
  await assertSealed(t, at('a.heapimage.age'), at('key'));
});

test('NODE_HEAPDUMP_OPTIONS holds for images by signal, and who copies one has it as it is', only, async (t) => {
  const { directory, key, at, written } = prepared(t);
  const env = { NODE_HEAPDUMP_OPTIONS: `encrypt=${key.recipient},redact,image,zstd` };
  const app = startApp(t, answerSignals, { cwd: directory.path, env, args: { secret: SECRET } });
  await app.says(/^ready/m);
  app.kill('SIGUSR2');
  await waitFor('an image', () => written().some((name) => name.endsWith('.heapimage.zst.age')));
  await assertSealed(t, at(written()[0]), at('key'));
  const asked = await runCommand(t, ['node-snapshot', '--pid', app.pid, '--output', at('mine.heapimage')]);
  assert.equal(asked.code, 0, asked.stderr);
  assert.match(asked.stdout, /mine\.heapimage\.age: complete, .* encrypted/);
  await assertSealed(t, at('mine.heapimage.age'), at('key'));
});

test('from outside it is encrypted before it is written', only, async (t) => {
  const { key, at, written } = prepared(t);
  const app = await startSubject(t, 'idle');
  const args = ['node-snapshot', '--pid', app.pid, '--via', 'outside', '--encrypt-to', key.recipient];
  const { code, stdout, stderr } = await runCommand(t, [...args, '--output', at('a.heapimage')]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /a\.heapimage\.age: a heap image, complete, .* --identity FILE/);
  assert.deepEqual(written(), ['a.heapimage.age']);
  assert.ok(!fs.readFileSync(at('a.heapimage.age')).includes('HEAPIMG'));
  const restored = ['node-snapshot', '--image', at('a.heapimage.age'), '--identity', at('key'), '--output', at('a.heapsnapshot')];
  const { code: end, stderr: said } = await runCommand(t, restored);
  assert.equal(end, 0, said);
  await checkSnapshot(at('a.heapsnapshot'));
});

test('an image that is redacted and not encrypted is refused, in words that say what is possible', async (t) => {
  const { directory, at, written } = prepared(t);
  const body = ({ promises, plain }) => promises.writeSnapshot('a', { output: 'image', redact: true }).catch(plain);
  const { code, message } = await startApp(t, body, { cwd: directory.path }).result();
  assert.equal(code, 'ERR_INVALID_ARG_VALUE');
  assert.match(message, /encryptTo/);
  const asked = await runCommand(t, ['node-snapshot', '--pid', process.pid, '--redact', '--output', at('a.heapimage')]);
  assert.equal(asked.code, 2);
  assert.match(asked.stderr, /--encrypt-to/);
  assert.deepEqual(written(), []);
});

test('what the process is told to redact no recipients of a caller may read', only, async (t) => {
  const { directory, key, at, written } = prepared(t);
  const body = async ({ promises, plain, say, stayAlive, args }) => {
    const { code } = await promises.writeSnapshot('a', { output: 'image', encryptTo: args.recipient }).catch(plain);
    stayAlive();
    say('refused', code);
  };
  const env = { NODE_HEAPDUMP_OPTIONS: 'redact,nosignal' };
  const app = startApp(t, body, { cwd: directory.path, env, args: { recipient: key.recipient } });
  await app.says(/^refused ERR_INVALID_ARG_VALUE/m);
  const outside = ['node-snapshot', '--pid', app.pid, '--via', 'outside', '--encrypt-to', key.recipient, '--output', at('a.heapimage')];
  const { code, stderr } = await runCommand(t, outside);
  assert.equal(code, 2);
  assert.match(stderr, /told to hide the texts/);
  assert.deepEqual(written(), []);
});

test('a name that ends in .age without a recipient is refused: what came would be in clear', only, async (t) => {
  const { at, written } = prepared(t);
  const app = await startSubject(t, 'idle');
  const { code, stderr } = await runCommand(t, ['node-snapshot', '--pid', app.pid, '--via', 'outside', '--output', at('a.heapimage.age')]);
  assert.equal(code, 2);
  assert.match(stderr, /wants a recipient/);
  assert.deepEqual(written(), []);
});

test('a full disk is told as one where the head of what is encrypted does not fit', only, async (t) => {
  const { directory, key } = prepared(t);
  const body = ({ promises, plain, args }) => promises.writeSnapshot('/dev/full', { output: 'image', encryptTo: args.recipient }).catch(plain);
  const { code } = await startApp(t, body, { cwd: directory.path, args: { recipient: key.recipient } }).result();
  assert.equal(code, 'ENOSPC');
});

test('the JSON of an encrypted image is found, whoever wrote it', async (t) => {
  const { at } = prepared(t);
  const file = at('a.heapimage.age');
  // At V8's limit, there where a snapshot was wanted, at a threshold.
  for (const name of ['a.heapimage.age.json', 'a.heapsnapshot.age.json', 'a.heapimage.json', 'a.heapsnapshot.json']) {
    fs.writeFileSync(at(name), JSON.stringify({ snapshot: 'a.heapimage.age' }));
    assert.equal((await sidecarFor(file)).sidecar, at(name));
    fs.unlinkSync(at(name));
  }
  // A monitor's, whose process ended before it could say that an image took the snapshot's place.
  const begun = { reason: 'rss', name: 'x-{pid}', snapshot: 'x-1.heapsnapshot.zst.age', complete: null, host: 'elsewhere', pid: 1 };
  fs.writeFileSync(at('x-1.json'), JSON.stringify(begun));
  fs.writeFileSync(at('x-1.heapimage.zst.age'), 'image');
  const { value: left } = await filesLeft(at('.'), 'x-{pid}').next();
  assert.equal(left?.snapshot, at('x-1.heapimage.zst.age'));
});

test("at V8's limit the image is encrypted, and the JSON beside it tells no secret", only, async (t) => {
  const { directory, key, at, written } = prepared(t);
  const body = ({ args }) => {
    globalThis.password = args.secret.join('-');
    require('../../lib/oom.js')({ path: 'evidence', output: 'image', encryptTo: args.recipient });
    const kept = (globalThis.kept = []);
    const leak = () => {
      for (let i = 0; i < 10_000; i++) kept.push({ i });
      setImmediate(leak);
    };
    leak();
  };
  const app = startApp(t, body, { cwd: directory.path, args: { recipient: key.recipient, secret: SECRET }, nodeOptions: ['--max-old-space-size=40'] });
  await app.ended();
  assert.deepEqual(written(), ['evidence.heapimage.age', 'evidence.heapimage.age.json']);
  const record = fs.readFileSync(at('evidence.heapimage.age.json'), 'utf8');
  assert.ok(JSON.parse(record).complete && !record.includes(SECRET.join('-')), record);
  await assertSealed(t, at('evidence.heapimage.age'), at('key'));
});

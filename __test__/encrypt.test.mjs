// Snapshots for their recipients alone: who asks for them, who can read them, and that nothing else is written.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { ageKey, answerSignals } from './support/age.mjs';
import { startApp } from './support/app.mjs';
import { runCommand } from './support/command.mjs';
import { needsTool } from './support/faults.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { waitFor } from './support/processes.mjs';

const { open } = createRequire(import.meta.url)('../lib/analyze.js');

const MAGIC = 'age-encryption.org/v1\n';
/** How gzip and zstd begin here, without and with a checksum: as long as random megabytes hold none by chance. */
const COMPRESSED = ['\x1f\x8b\x08\x00\x00', '\x28\xb5\x2f\xfd\x00', '\x28\xb5\x2f\xfd\x04'];
const SECRET = ['tomorrow', 'belongs', 'to', 'us'];

/** A program with a secret that is in none of its own texts; what it says of each call. */
const keeper = async ({ promises, heapdump, args }) => {
  globalThis.password = args.secret.join('-');
  const { pipeline } = require('node:stream/promises');
  const written = [];
  for (const [file, { stream, sync, ...options }] of Object.entries(args.files)) {
    try {
      if (stream) await pipeline(heapdump.createSnapshotStream(options), require('node:fs').createWriteStream(file));
      else if (sync) written.push(heapdump.writeSnapshotSync(file, options).path);
      else written.push((await promises.writeSnapshot(file, options)).path);
      if (stream) written.push(file);
    } catch (error) {
      written.push(`${error.code}: ${error.message}`);
    }
  }
  return written;
};

const run = (t, directory, files, env = {}) =>
  startApp(t, keeper, { cwd: directory.path, env, args: { secret: SECRET, files } }).result();

/** A directory with the key's identity in `key`. */
function prepared(t) {
  const directory = makeTemporaryDirectory(t);
  const key = ageKey();
  fs.writeFileSync(directory.at('key'), `# a key\n${key.identity}\n`);
  const written = () => directory.names().filter((name) => !name.endsWith('key'));
  return { directory, key, at: directory.at, written };
}

const hasSecret = (file) => fs.readFileSync(file, 'latin1').includes(SECRET.join('-'));

/** Nothing of it is in clear, and its recipient reads it. */
async function assertSealed(t, file, identity) {
  const bytes = fs.readFileSync(file);
  assert.equal(bytes.subarray(0, MAGIC.length).toString(), MAGIC, file);
  assert.ok(!hasSecret(file), file);
  for (const clear of ['"snapshot"', 'node_fields', ...COMPRESSED]) assert.ok(!bytes.includes(clear, 0, 'latin1'), `${file}: ${clear}`);
  const { code, stderr, stdout } = await runCommand(t, ['validate', file, '--identity', identity]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /a whole snapshot/);
}

test('what is encrypted is called so, is whole for its recipient, and nothing for anybody else', async (t) => {
  const { directory, key, at, written } = prepared(t);
  const encryptTo = key.recipient;
  const files = {
    'a.heapsnapshot': { encryptTo },
    'b.heapsnapshot': { encryptTo: [encryptTo, ageKey().recipient], compress: 'gzip' },
    'c.heapsnapshot': { encryptTo, compress: 'zstd' },
    'd.heapsnapshot': { encryptTo, mode: 'inline' },
    'e.heapsnapshot': { encryptTo, sync: true, compress: 'gzip' },
    'f.heapsnapshot.age': { encryptTo, stream: true },
    'g.heapsnapshot.gz.age': { encryptTo, stream: true, mode: 'inline', compress: 'gzip' },
  };
  const names = ['a.heapsnapshot.age', 'b.heapsnapshot.gz.age', 'c.heapsnapshot.zst.age', 'd.heapsnapshot.age', 'e.heapsnapshot.gz.age', 'f.heapsnapshot.age', 'g.heapsnapshot.gz.age'];
  const told = await run(t, directory, files);
  assert.deepEqual(told.map((name) => name.replace(/^.*\//, '')), names);
  assert.deepEqual(written(), names);
  for (const name of names) await assertSealed(t, at(name), at('key'));

  const snapshot = await open(at(names[0]), { identity: at('key') });
  assert.ok((await snapshot.statistics()).total > 0);
  snapshot.close();
});

test('the age tool opens ours, and ours opens its', async (t) => {
  if (!needsTool(t, 'age')) return;
  const { directory, key, at } = prepared(t);
  await run(t, directory, { a: { encryptTo: key.recipient } });
  execFileSync('age', ['--decrypt', '--identity', at('key'), '--output', at('clear'), at('a.age')]);
  await validateSnapshot(at('clear'));
  execFileSync('age', ['--recipient', key.recipient, '--output', at('theirs'), at('clear')]);
  await assertSealed(t, at('theirs'), at('key'));
});

test('a reader without the identity is told so, and so is one with another', async (t) => {
  const { directory, key, at } = prepared(t);
  await run(t, directory, { a: { encryptTo: key.recipient } });
  fs.writeFileSync(at('other key'), ageKey().identity);
  fs.writeFileSync(at('no key'), 'hunter2\n');
  const told = async (...more) => {
    const { code, stdout, stderr } = await runCommand(t, ['summary', at('a.age'), ...more]);
    assert.deepEqual([code, stdout], [2, '']);
    return stderr;
  };
  assert.match(await told(), /encrypted \(age\).*\n--identity FILE/);
  assert.match(await told('--identity', at('other key')), /encrypted to other recipients/);
  const wrong = await told('--identity', at('no key'));
  assert.match(wrong, /line 1 is no identity/);
  assert.ok(!wrong.includes('hunter2'));
  for (const identity of [undefined, at('other key'), at('no key')]) {
    await assert.rejects(open(at('a.age'), identity && { identity }), { code: 'ERR_HEAPDUMP_ENCRYPTED' });
  }
  const bytes = fs.readFileSync(at('a.age'));
  fs.writeFileSync(at('cut.age'), bytes.subarray(0, bytes.length >> 1));
  const cut = await runCommand(t, ['summary', at('cut.age'), '--identity', at('key')]);
  assert.equal(cut.code, 2);
});

test('a process that demands it writes nothing else, and no caller is added', async (t) => {
  const { directory, key, at, written } = prepared(t);
  const other = ageKey();
  fs.writeFileSync(at('other key'), other.identity);
  const files = { a: {}, b: { encryptTo: other.recipient }, 'c.age': { stream: true }, d: { sync: true } };
  await run(t, directory, files, { NODE_HEAPDUMP_OPTIONS: `encrypt=${key.recipient},nosignal` });
  assert.deepEqual(written(), ['a.age', 'b.age', 'c.age', 'd.age']);
  for (const name of written()) await assertSealed(t, at(name), at('key'));
  assert.match((await runCommand(t, ['summary', at('b.age'), '--identity', at('other key')])).stderr, /other recipients/);
});

test('where what it demands is no recipient nothing is written, and why is told', async (t) => {
  const { directory, key, written } = prepared(t);
  for (const wrong of [key.recipient.slice(0, 40), key.identity, '']) {
    const files = { a: {}, b: { stream: true }, c: { sync: true }, d: { mode: 'inline', encryptTo: key.recipient } };
    const told = await run(t, directory, files, { NODE_HEAPDUMP_OPTIONS: `encrypt=${wrong},nosignal` });
    for (const each of told) assert.match(each, /^ERR_HEAPDUMP_ENCRYPT: .*NODE_HEAPDUMP_OPTIONS/);
    if (wrong === key.identity) for (const each of told) assert.ok(!each.includes(wrong.slice(20)), each);
  }
  assert.deepEqual(written().filter((name) => fs.statSync(directory.at(name)).size > 0), []);
});

test('a signal is answered for the recipients alone', async (t) => {
  const { directory, key, at, written } = prepared(t);
  const env = { NODE_HEAPDUMP_OPTIONS: `encrypt=${key.recipient},gzip,redact` };
  const app = startApp(t, answerSignals, { cwd: directory.path, env, args: { secret: SECRET } });
  await app.says(/^ready/m);
  app.kill('SIGUSR2');
  await waitFor('a dump', () => written().some((name) => name.endsWith('.heapsnapshot.gz.age')));
  await assertSealed(t, at(written()[0]), at('key'));
  const { stdout } = await runCommand(t, ['validate', at(written()[0]), '--identity', at('key')]);
  assert.match(stdout, /redacted/);
  const file = at('mine.heapsnapshot');
  const asked = await runCommand(t, ['node-snapshot', '--pid', app.pid, '--output', file]);
  assert.equal(asked.code, 0, asked.stderr);
  assert.match(asked.stdout, /mine\.heapsnapshot\.age: complete, .* encrypted/);
  await assertSealed(t, `${file}.age`, at('key'));
});

test('wrong recipients are refused when the option is read, and none is repeated', async (t) => {
  const { directory, key, written } = prepared(t);
  const files = { a: { encryptTo: key.identity }, b: { encryptTo: [] }, c: { encryptTo: 1 }, d: { encryptTo: [key.recipient, key.recipient.slice(1)] } };
  const told = await run(t, directory, files);
  assert.match(told[0], /^ERR_INVALID_ARG_VALUE: .*secret key/);
  assert.match(told[1], /^ERR_INVALID_ARG_VALUE/);
  assert.match(told[2], /^ERR_INVALID_ARG_TYPE/);
  assert.match(told[3], /^ERR_INVALID_ARG_VALUE/);
  for (const each of told) assert.ok(!each.includes(key.identity.slice(20)) && !each.includes(key.recipient.slice(5)), each);
  assert.deepEqual(written(), []);
});

test('a monitor, and the exporter that it hands files to, have nothing in clear', async (t) => {
  const { directory, key, at } = prepared(t);
  for (const name of ['dir', 'out']) fs.mkdirSync(at(name));
  const body = async ({ args }) => {
    globalThis.password = args.secret.join('-');
    const { monitor } = require('../../lib/monitor.js');
    const { FileExporter, exportSnapshot } = require('../../lib/exporters.js');
    const hidden = { encryptTo: args.recipient, redact: true };
    const exporter = new FileExporter({ directory: args.out });
    const watching = monitor({ dir: args.dir, every: '100ms', compress: 'gzip', exporter, ...hidden });
    const alive = setInterval(() => {}, 1000);
    const event = await new Promise((resolve, reject) => watching.once('exported', resolve).once('error', reject));
    clearInterval(alive);
    watching.stop();
    const own = await exportSnapshot(exporter, { name: 'own.heapsnapshot', ...hidden });
    return [event.snapshot, event.location, own.location, event.sidecar];
  };
  const app = startApp(t, body, { cwd: directory.path, args: { dir: at('dir'), out: at('out'), recipient: key.recipient, secret: SECRET } });
  const [snapshot, exported, own, sidecar] = await app.result();
  assert.match(snapshot, /\/heap-schedule-\d+\.heapsnapshot\.gz\.age$/);
  assert.match(exported, /\.heapsnapshot\.gz\.age$/);
  assert.match(own, /own\.heapsnapshot\.age$/);
  for (const file of [snapshot, exported, own]) await assertSealed(t, file, at('key'));
  assert.ok(!hasSecret(sidecar));
});

test('at the heap limit the snapshot is encrypted, and the record beside it names no function that data named', async (t) => {
  const { directory, key, at, written } = prepared(t);
  const body = async ({ args }) => {
    require('../../lib/oom.js')({ path: 'evidence', encryptTo: args.recipient });
    const { Session } = require('node:inspector');
    const session = new Session();
    session.connect();
    session.post('HeapProfiler.startSampling', { samplingInterval: 4096 });
    const kept = (globalThis.kept = []);
    const grow = new Function('kept', 'n', `return (function ${args.secret.join('_')}_4711471147114711() { for (let i = 0; i < n; i++) kept.push({ i: kept.length, text: 'x' + kept.length }); })()`);
    for (;;) {
      grow(kept, 1000);
      await new Promise(setImmediate);
    }
  };
  const app = startApp(t, body, { cwd: directory.path, nodeOptions: ['--max-old-space-size=48'], args: { recipient: key.recipient, secret: SECRET } });
  await app.ended();
  assert.deepEqual(written(), ['evidence.heapsnapshot.age', 'evidence.heapsnapshot.age.json']);
  await assertSealed(t, at('evidence.heapsnapshot.age'), at('key'));
  const record = JSON.parse(fs.readFileSync(at('evidence.heapsnapshot.age.json'), 'utf8'));
  assert.deepEqual([record.complete, record.snapshot], [true, 'evidence.heapsnapshot.age']);
  assert.ok(record.allocationProfile?.length > 0, 'a profile, whose names are looked at');
  assert.ok(!JSON.stringify(record).includes('4711471147114711'));
});

test('redact and encrypt together, on files', async (t) => {
  const { directory, key, at, written } = prepared(t);
  await run(t, directory, { a: { encryptTo: key.recipient } });
  const cli = (...args) => runCommand(t, args);
  const told = await cli('redact', at('a.age'), at('b.heapsnapshot.gz.age'), '--identity', at('key'), '--encrypt-to', key.recipient);
  assert.equal(told.code, 0, told.stderr);
  await assertSealed(t, at('b.heapsnapshot.gz.age'), at('key'));
  assert.match((await cli('validate', at('b.heapsnapshot.gz.age'), '--identity', at('key'))).stdout, /redacted/);
  assert.equal((await cli('redact', at('a.age'), at('c.heapsnapshot'), '--identity', at('key'), '--encrypt-to', key.recipient)).code, 2);
  assert.equal((await cli('redact', at('a.age'), at('c.age'), '--identity', at('key'))).code, 2);
  assert.deepEqual(written(), ['a.age', 'b.heapsnapshot.gz.age']);
});

test('node-snapshot encrypts before the first byte is written, and asks of no process less than it was told', async (t) => {
  const { directory, key, at, written } = prepared(t);
  const body = ({ args, stayAlive, say }) => {
    globalThis.password = args.secret.join('-');
    const { snapshotHandler } = require('../../lib/http.js');
    const handler = (options) => snapshotHandler({ token: 'x'.repeat(32), minInterval: 0, ...options });
    const handlers = { '/clear': handler({}), '/sealed': handler({ snapshot: { encryptTo: args.recipient } }) };
    const server = require('node:http').createServer((request, response) => handlers[request.url](request, response));
    stayAlive();
    return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));
  };
  const app = startApp(t, body, { cwd: directory.path, args: { secret: SECRET, recipient: key.recipient } });
  const port = await app.returned();
  const fetched = (name, ...more) => runCommand(t, ['node-snapshot', '--endpoint', `http://127.0.0.1:${port}/${name}`, '--token', 'x'.repeat(32), '--output', at(`${name}.heapsnapshot.gz`), ...more]);
  const clear = await fetched('clear', '--encrypt-to', key.recipient);
  assert.equal(clear.code, 0, clear.stderr);
  const sealed = await fetched('sealed');
  assert.equal(sealed.code, 0, sealed.stderr);
  assert.deepEqual(written(), ['clear.heapsnapshot.gz.age', 'sealed.heapsnapshot.gz.age']);
  for (const name of written()) await assertSealed(t, at(name), at('key'));
  assert.equal((await fetched('sealed', '--redact', '--force')).code, 2);
  assert.equal((await fetched('clear', '--encrypt-to', key.identity, '--force')).code, 2);

  const idle = ({ stayAlive, say }) => { stayAlive(); say('ready'); };
  const env = { NODE_HEAPDUMP_OPTIONS: `redact,encrypt=${key.recipient}` };
  const told = startApp(t, idle, { cwd: directory.path, env, args: {} });
  await told.says(/^ready/m);
  for (const via of ['outside', 'inspector']) {
    const refused = await runCommand(t, ['node-snapshot', '--pid', told.pid, '--exactly', '--via', via, '--output', at('o.heapsnapshot')]);
    assert.equal(refused.code, 2, via);
    assert.ok(refused.stderr.includes(`--redact --encrypt-to ${key.recipient}`), refused.stderr);
  }
  assert.ok(!written().includes('o.heapsnapshot'));
});

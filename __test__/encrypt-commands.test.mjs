// --identity FILE, of every command that reads snapshots.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';

import limits from '../harness/limits.cjs';
import { ageKey } from './support/age.mjs';
import { BIN, runCommand, startCommand } from './support/command.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { leakingServer } from './support/heaps.mjs';

const { open } = createRequire(import.meta.url)('../lib/analyze.js');

/** Each encrypted to a key of its own. */
const NAMES = ['a.heapsnapshot.age', 'b.heapsnapshot.gz.age', 'c.heapsnapshot.zst.age'];
const directory = makeTemporaryDirectory();
const files = NAMES.map((name) => directory.at(name));
const [a, b, c] = files;
const keys = NAMES.map((name) => directory.at(`${name}.key`));
const [, keyOfB] = keys;
const identities = (...of) => of.flatMap((key) => ['--identity', key]);

before(() => {
  for (const [index, snapshot] of leakingServer(directory, 3).entries()) {
    const { recipient, identity } = ageKey();
    fs.writeFileSync(keys[index], `${identity}\n`);
    execFileSync(process.execPath, [BIN, 'redact', snapshot, files[index], '--encrypt-to', recipient], { timeout: limits.WAIT });
  }
});
after(() => directory.remove());

/** Those that read files: what they are asked. `sql` is asked in __test__/data, where DuckDB is. */
const ASKED = {
  summary: () => [a],
  objects: () => [b, '--class', 'Session'],
  statistics: () => [c],
  compare: () => [a, b],
  'find-leaks': () => ['--baseline', a, '--target', b, '--final', c],
  trend: () => files,
  'inspect-object': (id) => [b, '--object-id', id],
  retainers: (id) => [b, '--object-id', id],
  dominators: () => [a],
  strings: () => [b],
  suspects: () => [c],
  report: () => [...files, '-o', '-', '--format', 'md'],
  validate: () => [c],
  export: () => [b, '--nodes'],
  redact: () => ['--audit', a, '--threshold', '1000000'],
};
const NO_FILES = ['completions', 'help', 'ps', 'node-snapshot', 'doctor'];

test('every command reads what one of its identities opens', async (t) => {
  const { stdout: help } = await runCommand(t, ['--help']);
  const commands = [...help.matchAll(/^ {2}([a-z][a-z-]+) {2,}/gm)].map(([, name]) => name);
  assert.deepEqual(new Set([...Object.keys(ASKED), ...NO_FILES, 'view', 'sql']), new Set(commands));
  const snapshot = await open(b, { identity: keys });
  const { objects: [{ id }] } = await snapshot.objects({ class: 'Session', limit: 1 });
  snapshot.close();
  for (const [command, words] of Object.entries(ASKED)) {
    const { code, stdout, stderr } = await runCommand(t, [command, ...words(`@${id}`), ...identities(...keys)]);
    assert.equal(code, 0, `${command}: ${stderr}`);
    assert.ok(stdout.length > 0, command);
  }
  const { code, stderr } = await runCommand(t, ['report', ...files, ...identities(keyOfB), '-o', '-']);
  assert.equal(code, 2);
  assert.match(stderr, /a\.heapsnapshot\.age: .*other recipients/);
});

test('the viewer does, too', async (t) => {
  const view = startCommand(t, ['view', ...files, ...identities(...keys), '--no-open']);
  await view.says(/^loaded/m, { on: 'stderr' });
  const refused = async (...more) => {
    const { code, stderr } = await runCommand(t, ['view', a, '--no-open', ...more]);
    assert.equal(code, 2);
    return stderr;
  };
  assert.match(await refused(), /a\.heapsnapshot\.age: the file is encrypted[^]*\n--identity FILE/);
  assert.match(await refused(...identities(keyOfB)), /a\.heapsnapshot\.age: .*other recipients/);
  assert.match(await refused(...identities(directory.at('absent'))), /absent: No such file/);
});

test('an identity that is none is named by its file, and what is in it is not repeated', async () => {
  const wrong = directory.at('wrong.key');
  fs.writeFileSync(wrong, '# a key\nhunter2\n');
  await assert.rejects(open(a, { identity: [keyOfB, wrong] }), ({ code, message }) => {
    assert.equal(code, 'ERR_HEAPDUMP_ENCRYPTED');
    assert.match(message, /wrong\.key: line 2 is no identity/);
    return !message.includes('hunter2');
  });
  await assert.rejects(open(a, { identity: [1] }), TypeError);
});

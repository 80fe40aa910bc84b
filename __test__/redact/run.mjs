// npm run test:redact [-- MAJOR… --quick]: random markers in 70 places of a process, none of which may be in any byte that its
// redacted snapshot has: streamed, compressed, in process, with numbers and V8's own objects, and of a child that is killed
// while it writes; and the same of encrypted ones. The redacted copy of an unredacted snapshot is compared with it string by string,
// and so is what the analyzer says of both.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import zlib from 'node:zlib';

import { build } from '../../harness/build.mjs';
import limits from '../../harness/limits.cjs';
import { NODES, fetchNode } from '../../harness/nodes.mjs';
import { bold, green, main, red, root } from '../../harness/run.mjs';
import { ageKey } from '../support/age.mjs';
import { differences, figures } from './compare.mjs';

const COMMAND = join(root, 'bin/heapdump-rs.js');
const KEY = 'a key for these tests alone';

/** What is asked for, and how. */
const WAYS = {
  plain: {},
  numbers: { exposeNumericValues: true, exposeInternals: true },
  gzip: { compress: 'gzip' },
  inline: { mode: 'inline' },
  paths: { redact: { paths: true } },
  encrypted: { redact: false, encryptTo: ageKey().recipient },
  both: { encryptTo: ageKey().recipient, compress: 'gzip' },
};

const { values, positionals } = parseArgs({ allowPositionals: true, options: { quick: { type: 'boolean', default: false } } });

await main(async () => {
  await build();
  const versions = positionals.length > 0 ? positionals : values.quick ? ['own'] : Object.keys(NODES);
  let failed = 0;
  const check = (name, wrong) => {
    console.log(`${wrong.length === 0 ? green('✓') : red('✗')} ${name}${wrong.map((each) => `\n    ${each}`).join('')}`);
    failed += wrong.length > 0;
  };
  for (const version of versions) {
    const node = version === 'own' ? process.execPath : await fetchNode(version);
    console.log(bold(`Node.js ${execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()}`));
    const directory = mkdtempSync(join(tmpdir(), 'heapdump-redact-'));
    try {
      for (const [name, options] of Object.entries(values.quick ? { numbers: WAYS.numbers } : WAYS)) {
        check(name, await markers(node, directory, { redact: true, ...options }));
      }
      check('killed while it writes', await killed(node, directory, values.quick ? 2 : 12, { redact: true }));
      check('killed while it encrypts', await killed(node, directory, values.quick ? 2 : 6, WAYS.encrypted));
      check('the twin that is not redacted', await twin(node, directory));
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
  if (failed > 0) process.exitCode = 1;
});

/** Which markers are in what is in the directory afterwards. */
async function markers(node, directory, options) {
  const file = join(directory, 'a.heapsnapshot');
  const { code, said, places } = await subject(node, { file, options }).ended;
  if (code !== 0) return [`the subject ended with ${code}: ${said}`];
  const names = readdirSync(directory);
  const wrong = names.length === 1 ? [] : [`${names.length} files`];
  wrong.push(...found(directory, places));
  for (const name of names) rmSync(join(directory, name));
  return wrong;
}

/** A child that is killed at any point leaves nothing, and has written nothing, that has a marker. */
async function killed(node, directory, times, options) {
  const wrong = [];
  for (let at = 0; at < times; at++) {
    const file = join(directory, 'killed.heapsnapshot');
    // A file that has a name from the start shows what was written when the child died.
    const running = subject(node, { file, options });
    const child = await running.child();
    if (child !== undefined) {
      await new Promise((resolve) => setTimeout(resolve, (at * 400) / times));
      const descriptors = `/proc/${child}/fd`;
      wrong.push(...found(descriptors, await running.places, true));
      try {
        process.kill(child, 'SIGKILL');
      } catch {
        // It was quicker.
      }
    }
    const { places } = await running.ended;
    wrong.push(...found(directory, places));
    for (const name of readdirSync(directory)) rmSync(join(directory, name));
  }
  return wrong;
}

/** A snapshot as V8 writes it has the markers, its redacted copy none; both have the same graph, and the same is said of them. */
async function twin(node, directory) {
  const at = (name) => join(directory, `${name}.heapsnapshot`);
  const [plain, redacted, later, redactedLater] = ['plain', 'redacted', 'later', 'redacted-later'].map(at);
  const options = { exposeNumericValues: true, stableIds: true };
  const { code, said, places } = await subject(node, { file: plain, later, options }).ended;
  if (code !== 0) return [`the subject ended with ${code}: ${said}`];
  const original = readFileSync(plain);
  // The test itself is tested: most are there, but for what V8 shows of nothing (a bigint, a number, what is held weakly).
  const shown = places.filter(([, text]) => original.includes(text)).length;
  const wrong = shown >= 50 ? [] : [`only ${shown} of ${places.length} markers are in the original`];
  command('redact', plain, redacted, '--key', KEY);
  command('redact', later, redactedLater, '--key', KEY);
  const bytes = readFileSync(redacted);
  wrong.push(...places.filter(([, text]) => bytes.includes(text)).map(([where]) => `${where} is in the copy`));
  wrong.push(...differences(plain, redacted));
  const audit = JSON.parse(command('redact', '--audit', redacted, '--json'));
  if (audit.found > 0) wrong.push(`the audit finds ${JSON.stringify(audit.families)}`);
  // Not of `strings`: a text that is concatenated is read from its parts, whose pseudonyms do not make that of the whole.
  for (const words of [['summary', '--limit', '0'], ['statistics'], ['suspects'], ['dominators', '--limit', '50'], ['summary', '--by', 'package', '--limit', '0']]) {
    const [first, ...rest] = words;
    const numbers = [plain, redacted].map((file) => figures(JSON.parse(command(first, file, '--json', ...rest))));
    if (numbers[0] !== numbers[1]) wrong.push(`${words.join(' ')} says something else`);
  }
  const pairs = [[plain, later], [redacted, redactedLater]];
  const leaks = pairs.map(([a, b]) => JSON.parse(command('find-leaks', '--baseline', a, '--target', b, '--json')));
  if (!leaks[0].suspects?.some((suspect) => JSON.stringify(suspect).includes('Leaked'))) wrong.push('find-leaks does not see the leak');
  if (JSON.stringify(leaks[0].suspects) !== JSON.stringify(leaks[1].suspects)) wrong.push('find-leaks says something else');
  // How many texts of 4 to 255 bytes there are once: in the file a pseudonym may have other bytes than its text.
  const compared = pairs.map(([a, b]) => {
    const answer = JSON.parse(command('compare', a, b, '--json', '--limit', '0'));
    const { uniqueStrings, sameString, ...agreement } = answer.idAgreement;
    return figures({ ...answer, idAgreement: agreement, allAgree: Number(uniqueStrings === sameString) });
  });
  if (compared[0] !== compared[1]) wrong.push('compare says something else');
  return wrong;
}

function command(...words) {
  try {
    return execFileSync(process.execPath, [COMMAND, ...words], { encoding: 'utf8', maxBuffer: 1 << 30 });
  } catch (error) {
    if (error.status === 1) return error.stdout;
    throw error;
  }
}

/** Which markers are in a directory's files; of descriptors, in those that are files. */
function found(directory, places, isOpen = false) {
  const wrong = [];
  if (!existsSync(directory)) return wrong;
  for (const name of readdirSync(directory)) {
    let bytes;
    try {
      bytes = readFileSync(join(directory, name));
    } catch (error) {
      // A pipe, a socket, or a process that has ended.
      if (isOpen) continue;
      throw error;
    }
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) bytes = zlib.gunzipSync(bytes);
    if (!isOpen && bytes.length < 1 << 20) wrong.push(`${name} has ${bytes.length} bytes`);
    wrong.push(...places.filter(([, text]) => bytes.includes(text)).map(([where]) => `${where} is in ${name}`));
  }
  return wrong;
}

/** The subject, running: its markers, its child, its end. */
function subject(node, wanted) {
  const child = spawn(node, [join(root, '__test__/redact/subject.cjs'), JSON.stringify(wanted)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_HEAPDUMP_OPTIONS: 'nosignal' },
    timeout: limits.PROGRAM,
  });
  let [told, said] = ['', ''];
  child.stderr.setEncoding('utf8').on('data', (text) => (said += text));
  const places = new Promise((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (text) => {
      told += text;
      if (told.endsWith('\n')) resolve(JSON.parse(told).map(([where, text]) => [where, [...text].reverse().join('')]));
    });
    child.on('close', () => resolve([]));
  });
  const ended = new Promise((resolve) => {
    child.on('close', async (code) => resolve({ code, said: said.trim(), places: await places }));
  });
  return { places, ended, child: () => places.then(() => childOf(child)) };
}

/** The child that takes the snapshot, as soon as there is one. */
async function childOf(parent) {
  while (parent.exitCode === null && parent.signalCode === null) {
    const [child] = readFileSync(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8').split(' ');
    if (child) return Number(child);
    for (const task of readdirSync(`/proc/${parent.pid}/task`)) {
      const [of] = readFileSync(`/proc/${parent.pid}/task/${task}/children`, 'utf8').split(' ');
      if (of) return Number(of);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return undefined;
}

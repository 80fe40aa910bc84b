// One process that runs out of memory, watched from outside: did a whole snapshot come, how long did it stand still for it,
// how much memory did it take.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmdirSync, statSync, watch, writeFileSync } from 'node:fs';
import { rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import limits from './limits.cjs';
import { root } from './run.mjs';
import { validateSnapshot } from './validate.mjs';
import { isBeingWritten } from './writers.mjs';

const MB = 1024 * 1024;
const GROUPS = '/sys/fs/cgroup/memory';

export const SHAPES = ['objects', 'strings', 'arrays', 'closures', 'sync', 'worker', 'array160', 'smallbuffers', 'buffers', 'churn'];

/**
 * @param {object} options
 * @param {string} options.node
 * @param {'none' | 'raise' | 'core' | 'fork' | 'exit' | 'image' | 'low-memory' | 'peer'} options.way
 * @param {string} options.shape one of SHAPES
 * @param {number} [options.limit] of V8's old space, in MB
 * @param {string[]} [options.flags] of V8, besides or instead
 * @param {string} [options.peer] node-oom-heapdump's directory
 * @param {number} [options.group] MB of a memory control group (version 1) for it and its children
 * @param {number} [options.cap] MB of RLIMIT_DATA: an uncapped case of a peer took 23 GB
 */
export async function runCase({ node, way, shape, limit, flags = [], peer = '', group, cap = 9000 }) {
  const work = join(root, '.cache/oom');
  mkdirSync(work, { recursive: true });
  const directory = mkdtempSync(join(work, `${way}-${shape}-`));
  const members = group === undefined ? undefined : makeGroup(group);
  const v8Flags = [...(limit === undefined ? [] : [`--max-old-space-size=${limit}`]), ...flags];
  if (way === 'core') v8Flags.push('--heapsnapshot-near-heap-limit=1');
  const command = [node, ...v8Flags, join(root, 'harness/oom-subject.cjs'), way, shape, 'evidence', peer];
  const enter = members ? 'echo $$ > "$0/cgroup.procs"; ' : '';
  const shell = `${enter}ulimit -c 0; exec prlimit --data=${cap * MB} -- "$@"`;
  const start = Date.now();
  const subject = spawn('sh', ['-c', shell, members ?? 'sh', ...command], {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '', NODE_HEAPDUMP_OPTIONS: '' },
  });
  const beats = collectBeats(subject.stdio[3]);
  const asked = new Asked(directory);
  let said = '';
  subject.stderr.setEncoding('utf8').on('data', (text) => {
    said = (said + text).slice(-20_000);
    if (said.includes('Generating Heapdump')) asked.now();
  });
  const peak = new Peak(subject.pid);
  const killer = setTimeout(() => subject.kill('SIGKILL'), limits.WAIT);
  const { code, signal } = await new Promise((resolve) => subject.once('exit', (code, signal) => resolve({ code, signal })));
  const ended = Date.now();
  clearTimeout(killer);
  peak.stop();
  asked.stop();
  // A child of ours goes on when its parent has died.
  await waitForFile(directory);
  const result = { way, shape, limit, code, signal, alive: ended - start, timedOut: ended - start >= limits.WAIT, said };
  if (asked.at !== undefined) Object.assign(result, silenceAround(beats, asked.at, ended));
  result.files = readdirSync(directory);
  const image = result.files.find((name) => name.endsWith('.heapimage'));
  if (image !== undefined) result.notRestored = restoreImage(join(directory, image));
  const file = snapshotIn(directory);
  result.empty = result.files.some((name) => statSync(join(directory, name)).size === 0);
  result.peak = peak.bytes;
  result.record = readRecord(directory);
  result.children = result.record?.report?.childPrivateMemory;
  if (file !== undefined) {
    result.size = statSync(file).size;
    result.valid = await validateSnapshot(file).then(({ nodes }) => nodes > 0, (error) => ((result.why = error.message), false));
  }
  result.longest = longestSilence(beats);
  await rm(directory, { recursive: true, force: true });
  if (members) await removeGroup(members);
  return result;
}

/** Times in milliseconds, as the subject wrote them. */
function collectBeats(stream) {
  const beats = [];
  let rest = Buffer.alloc(0);
  stream.on('data', (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    const whole = rest.length - (rest.length % 8);
    for (let at = 0; at < whole; at += 8) beats.push(rest.readDoubleLE(at));
    rest = rest.subarray(whole);
  });
  stream.on('error', () => {});
  return beats;
}

/**
 * When V8 asked what to do at its limit: each way says so, or makes a file, before it does anything else. Seen from outside, a
 * fraction of a millisecond later.
 */
class Asked {
  /** In milliseconds; undefined as long as it has not. */
  at;
  #watcher;

  constructor(directory) {
    this.#watcher = watch(directory, () => this.now());
  }

  now() {
    this.at ??= performance.timeOrigin + performance.now();
  }

  stop() {
    this.#watcher.close();
  }
}

/**
 * How long nothing came from the moment on that V8 asked, until `end` when nothing came any more (`stop`), and before it
 * (`collected`): V8 asks at the end of collections of its own, which there would be without anybody to ask.
 */
function silenceAround(beats, asked, end) {
  const next = beats.findIndex((beat) => beat > asked);
  if (next === 0) return {};
  const before = next === -1 ? beats.at(-1) : beats[next - 1];
  return { stop: (next === -1 ? end : beats[next]) - asked, collected: asked - before };
}

function longestSilence(beats) {
  let longest = 0;
  for (let index = 1; index < beats.length; index++) longest = Math.max(longest, beats[index] - beats[index - 1]);
  return longest;
}

/** The largest VmHWM that was seen of a process, in bytes. */
class Peak {
  bytes = 0;
  #timer;

  constructor(pid) {
    const look = () => {
      try {
        const line = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
        if (line) this.bytes = Math.max(this.bytes, Number(line[1]) * 1024);
      } catch {
        // It has ended.
      }
    };
    this.#timer = setInterval(look, 10);
  }

  stop() {
    clearInterval(this.#timer);
  }
}

/** Until nobody writes there any more: the child names or drops its file. */
async function waitForFile(directory) {
  const deadline = Date.now() + limits.WAIT;
  while (isBeingWritten(directory) && Date.now() < deadline) await delay(50);
  // The record comes last.
  await delay(200);
}

const snapshotIn = (directory) => {
  const name = readdirSync(directory).find((name) => name.endsWith('.heapsnapshot'));
  return name && join(directory, name);
};

/** Beside it, not in the group of the process that is gone; what is wrong, undefined where nothing is. */
function restoreImage(image) {
  const command = [join(root, 'bin/heapdump-rs.js'), 'node-snapshot', '--image', image, '--output', `${image}.heapsnapshot`];
  try {
    execFileSync(process.execPath, command, { stdio: 'pipe', timeout: limits.WAIT });
    return undefined;
  } catch (error) {
    return error.message;
  }
}

function readRecord(directory) {
  const name = readdirSync(directory).find((name) => name.endsWith('.json'));
  return name && JSON.parse(readFileSync(join(directory, name), 'utf8'));
}

/** Whether control groups of version 1 can be made here. */
export function groupsAreWritable() {
  try {
    rmdirSync(makeGroup(64));
    return true;
  } catch {
    return false;
  }
}

function makeGroup(megabytes) {
  if (!existsSync(join(GROUPS, 'tasks'))) throw new Error('no memory control groups of version 1');
  const own = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/';
  const parent = existsSync(join(GROUPS, own)) ? join(GROUPS, own) : GROUPS;
  const group = mkdtempSync(join(parent, 'heapdump-oom-'));
  writeFileSync(join(group, 'memory.limit_in_bytes'), `${megabytes * MB}`);
  return group;
}

async function removeGroup(group) {
  for (let tries = 0; tries < 200; tries++) {
    const removed = await rmdir(group).then(() => true, () => false);
    if (removed) return;
    await delay(50);
  }
}

// Faults that Linux provokes on request: full and read-only file systems, limits, failing system calls, control groups.

import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { atEndOf, makeTemporaryDirectory } from './files.mjs';
import { isRoot, processInfo, waitFor } from './processes.mjs';

function succeed(command, ...args) {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error ?? stderr}`);
}

/** Whether what only root may do was possible; says so in the report of `t` where it was not. */
export function needsRoot(t) {
  if (!isRoot) t.diagnostic('not run: only root can provoke this fault');
  return isRoot;
}

/** Whether a tool is installed; says so in the report of `t` where it is not. */
export function needsTool(t, name) {
  const found = spawnSync('sh', ['-c', 'command -v "$0"', name]).status === 0;
  if (!found) t.diagnostic(`not run: ${name} is not installed`);
  return found;
}

/** A directory on a file system of `size` bytes that is gone with the test. */
export function mountTmpfs(t, size) {
  const directory = makeTemporaryDirectory(t);
  succeed('mount', '-t', 'tmpfs', '-o', `size=${size}`, 'heapdump-test', directory.path);
  atEndOf(t, () => succeed('umount', '-l', directory.path));
  return directory;
}

/** A second view of a directory through which nothing can be written. */
export function mountReadOnly(t, of) {
  const directory = makeTemporaryDirectory(t);
  succeed('mount', '--bind', of, directory.path);
  atEndOf(t, () => succeed('umount', '-l', directory.path));
  succeed('mount', '-o', 'remount,bind,ro', directory.path);
  return directory;
}

/** Makes a file or directory immutable until the end of the test; whether the file system can. */
export function makeImmutable(t, file) {
  const { status } = spawnSync('chattr', ['+i', file]);
  if (status !== 0) {
    t.diagnostic('not run: this file system knows no immutable files');
    return false;
  }
  atEndOf(t, () => succeed('chattr', '-i', file));
  return true;
}

/** `via` of a program whose forks fail: its threads are made by clone3(2), glibc's fork() uses clone(2). */
export const refusingForks = (error) => [
  'strace', '-f', '-qq', '--seccomp-bpf', '-o', '/dev/null', '-e', 'trace=clone', '-e', `inject=clone:error=${error}`,
];

const REFUSE = fileURLToPath(new URL('../children/refuse.py', import.meta.url));

/** `via` of a program under a seccomp filter (see children/refuse.py); undefined, with a word in the report of `t`, where there is none. */
export function refusing(t, what, errno) {
  const via = ['python3', REFUSE, what, `${errno}`];
  if (process.arch !== 'x64' || !needsTool(t, 'python3')) return void t.diagnostic('not run: the filter is for x86_64 and in Python');
  const { stderr } = spawnSync(via[0], [...via.slice(1), 'true'], { encoding: 'utf8' });
  return /prctl/.test(stderr) ? void t.diagnostic(`not run: ${stderr}`) : via;
}

const EOPNOTSUPP = 95;

/** `via` of a program whose files need a name from the start, as on NFS, vfat and with old kernels: O_TMPFILE is refused. */
export const needingNames = (t) => refusing(t, 'nameless', EOPNOTSUPP);

/** The two ways in which a file is made: `[how, via]`. */
export function waysToMakeFiles(t) {
  const named = needingNames(t);
  return [['without a name', []], ...(named ? [['under a temporary name', named]] : [])];
}

/** `via` of a program that runs as a user without rights. */
export const WITHOUT_RIGHTS = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];

/**
 * Attaches strace to a process and makes system calls of it fail, for instance 'write:error=EIO'; only those on `file`
 * if one is given (V8 writes to descriptors of its own too, and ends the process when that fails). Resolves when it is
 * in force; the process is stopped in between, so that nothing is missed.
 */
export async function injectInto(t, child, file, ...injections) {
  process.kill(child.pid, 'SIGSTOP');
  await waitFor('the child is stopped', () => processInfo(child.pid)?.state === 'T');
  const names = injections.map((injection) => injection.split(':')[0]).join();
  const args = ['-f', '-p', `${child.pid}`, '-o', '/dev/null', '-e', `trace=${names}`];
  if (file !== undefined) args.push('-P', file);
  const strace = spawn('strace', [...args, ...injections.flatMap((injection) => ['-e', `inject=${injection}`])], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  atEndOf(t, () => strace.kill('SIGKILL'));
  let said = '';
  strace.stderr.setEncoding('utf8').on('data', (text) => (said += text));
  await waitFor('strace is attached', () => {
    if (strace.exitCode !== null) throw new Error(`strace: ${said}`);
    return /attached/.test(said);
  });
  process.kill(child.pid, 'SIGCONT');
}

const GROUPS = '/sys/fs/cgroup';
/** The machine has version 2 of control groups alone. */
const IS_UNIFIED = fs.existsSync(path.join(GROUPS, 'cgroup.controllers'));
/** What version 2 calls the files of version 1; null: what it says is always so. */
const IN_VERSION_2 = { 'memory.limit_in_bytes': 'memory.max', 'memory.use_hierarchy': null };

/**
 * A control group of `controller` with `files` set, by the names of version 1, removed with the test, below the group `above` if
 * one is given. `via` starts a program in it.
 * Undefined, with a word in the report of `t`, where groups cannot be made.
 */
export function makeControlGroup(t, controller, files, above) {
  const group = path.join(above?.path ?? groupAbove(controller), `heapdump-test-${process.pid}-${Math.random().toString(36).slice(2)}`);
  const place = (name) => path.join(group, (IS_UNIFIED && IN_VERSION_2[name]) || name);
  try {
    if (IS_UNIFIED && above) fs.writeFileSync(path.join(above.path, 'cgroup.subtree_control'), `+${controller}`);
    fs.mkdirSync(group);
    atEndOf(t, () => removeGroup(group));
    for (const [name, value] of Object.entries(files)) {
      if (!IS_UNIFIED || IN_VERSION_2[name] !== null) fs.writeFileSync(place(name), `${value}`);
    }
  } catch (error) {
    t.diagnostic(`not run: a control group of ${controller} cannot be made here: ${error.message}`);
    return undefined;
  }
  return {
    path: group,
    read: (name) => fs.readFileSync(place(name), 'utf8').trim(),
    write: (name, value) => fs.writeFileSync(place(name), `${value}`),
    via: ['sh', '-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', group],
  };
}

/** The group of this process; in version 2 the one above it, because a group that has members cannot have groups with limits. */
function groupAbove(controller) {
  const root = IS_UNIFIED ? GROUPS : path.join(GROUPS, controller);
  const lines = fs.readFileSync('/proc/self/cgroup', 'utf8').split('\n').map((line) => line.split(':'));
  const own = lines.find(([, names]) => names === (IS_UNIFIED ? '' : controller))?.[2];
  if (IS_UNIFIED) return path.join(root, path.dirname(own));
  const isVisible = own && fs.existsSync(`${root}/tasks`) && fs.existsSync(path.join(root, own));
  return isVisible ? path.join(root, own) : root;
}

/** Members may still be on their way out. */
async function removeGroup(group) {
  await waitFor(`${group} is empty`, () => {
    try {
      fs.rmdirSync(group);
      return true;
    } catch (error) {
      return error.code === 'ENOENT';
    }
  });
}

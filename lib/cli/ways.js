'use strict';

// In which ways a running process can be asked for a snapshot, and what each costs it.

const fs = require('node:fs');
const path = require('node:path');

const { Problem, size } = require('./command.js');
const { headroom, processesLeft } = require('./memory.js');
const { findTracer } = require('./tracer.js');

/** Measured by npm run bench:outside: most of a stop is the fork, which copies page tables. */
const STOP_MS_PER_MB = 0.055;
const LEAST_STOP_MS = 5;
/** And of the inspector's snapshot, give or take half. */
const INSPECTOR_MS_PER_MB = 25;

/** Page tables of the copy are this part of what is resident. */
const TABLES = 1 / 512;
/** So many processes must be free in its control group: the copy is one, and the process may start others meanwhile. */
const LEAST_PROCESSES = 16;

/**
 * What the process writes to while the copy is read is there twice. Where its control group ends as one (`memory.oom.group`, as
 * Kubernetes sets it), it would end with the copy: then all of it counts.
 */
function writtenMeanwhile(target, { oomGroup }) {
  const own = target.memory('RssAnon');
  return oomGroup ? own : Math.max(64 << 20, own / 4);
}

/** How long a capture from outside would stop it, in ms. */
const stopOutside = (target) => Math.ceil((target.memory('VmRSS') / 1e6) * STOP_MS_PER_MB + LEAST_STOP_MS);

/** How long its inspector would stop it, in ms. */
const stopInspector = (target) => Math.ceil((target.memory('VmRSS') / 1e6) * INSPECTOR_MS_PER_MB);

/**
 * Why a process cannot be captured from outside, for a person; undefined where it can. Nothing is done to it.
 * @param {import('./processes.js').Target} target
 * @param {{maxStop?: number}} limits in ms
 */
function obstacleOutside(target, { maxStop } = {}) {
  try {
    findTracer();
  } catch (error) {
    if (error instanceof Problem) return error.message;
    throw error;
  }
  if (target.pid === process.pid) return 'it is the process that asks';
  if (!target.isNode()) return otherRuntime(target) || 'it is not a Node process';
  const tracer = Number(target.status('TracerPid'));
  if (tracer > 0) return `process ${tracer} traces it already (a debugger, strace): end that first`;
  if (target.status('Seccomp') === '1') return 'seccomp in strict mode ends whatever does more than read and write';
  const refused = refusal(target);
  if (refused !== undefined) return refused;
  const left = processesLeft(target);
  if (left !== undefined && left < LEAST_PROCESSES) return `its pids control group has room for ${left} more processes, and ${LEAST_PROCESSES} must be free: raise pids.max`;
  const found = headroom(target);
  const needed = target.memory('VmRSS') * TABLES + writtenMeanwhile(target, found ?? {});
  if (found !== undefined && found.available < needed) {
    return `the copy of it needs ${size(needed)}, and ${size(Math.max(0, found.available))} are left below ${found.bound}`;
  }
  const stop = stopOutside(target);
  if (maxStop !== undefined && stop > maxStop) return `it would be stopped for about ${stop} ms, longer than --max-stop allows (${maxStop} ms)`;
  return undefined;
}

/** The kernel asks the same of whoever opens a process' memory as of ptrace(2) (`__ptrace_may_access`). */
function refusal(target) {
  try {
    fs.closeSync(fs.openSync(target.at('mem'), 'r+'));
    return undefined;
  } catch (error) {
    if (error.code !== 'EACCES' && error.code !== 'EPERM') return `its memory cannot be read (${error.code})`;
  }
  const yama = yamaLevel();
  if (yama === '3') return 'kernel.yama.ptrace_scope is 3: nobody may trace a process until the machine starts again';
  const help = 'ask as root, or with CAP_SYS_PTRACE (docker run --cap-add SYS_PTRACE, SYS_PTRACE in the securityContext)';
  if (yama === '1') return `kernel.yama.ptrace_scope is 1, so only a parent or a privileged process may trace it: ${help}`;
  if (yama === '2') return `kernel.yama.ptrace_scope is 2, so only a privileged process may trace it: ${help}`;
  return `this process may not trace it (ptrace(2)): ${help}`;
}

function yamaLevel() {
  try {
    return fs.readFileSync('/proc/sys/kernel/yama/ptrace_scope', 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** What runs JavaScript and is not Node.js, by the name of its program; nothing for others. */
function otherRuntime(target, before = '') {
  const name = path.basename(fs.readlinkSync(target.at('exe'))).replace(/ \(deleted\)$/, '');
  if (/^deno/.test(name)) return `${before}it is Deno, which has V8 without the names of its functions: heapdump-rs knows Node.js alone`;
  if (/^bun/.test(name)) return `${before}it is Bun, which has no V8: heapdump-rs knows Node.js alone`;
  return '';
}

/** The way that `--via auto` takes; `inspector` where no other is open. */
function bestWay(target, facts = target.facts()) {
  if (target.dumpSignal(facts) !== undefined) return 'signal';
  return obstacleOutside(target) === undefined ? 'outside' : 'inspector';
}

/** "about 20 ms", "about 10 s". */
const about = (ms) => (ms < 1000 ? `about ${ms} ms` : `about ${Math.round(ms / 1000)} s`);

module.exports = { about, bestWay, obstacleOutside, otherRuntime, stopInspector, stopOutside };

'use strict';

// Whether a process that dies leaves a core file, and where (core(5)).

const fs = require('node:fs');

const { printable, size } = require('./command.js');
const { good } = require('./findings.js');

const PAGE = 'https://github.com/heapdump-rs/heapdump-rs/blob/main/docs/core-files.md';

/** A finding; none where there is no such thing. */
function cores(target) {
  const pattern = read('/proc/sys/kernel/core_pattern');
  if (pattern === undefined) return [];
  const found = {
    pattern,
    limit: coreLimit(read(target.at('limits')) ?? ''),
    dumpable: isDumpable(target),
    usesPid: read('/proc/sys/kernel/core_uses_pid') === '1',
  };
  return [good('cores', `${describe(found)}; ${PAGE} says how to use them`)];
}

/**
 * @param {{pattern: string, limit: number, dumpable: boolean, usesPid: boolean}} found `limit` is that of RLIMIT_CORE in bytes
 */
function describe({ pattern, limit, dumpable, usesPid }) {
  if (!dumpable) return 'core files are off: its program or its user is a privileged one (prctl(2), PR_SET_DUMPABLE)';
  if (pattern === '') return 'core files are off: /proc/sys/kernel/core_pattern is empty';
  // A program is given the core whatever the limit, unless that is 1 byte; it may look at the limit itself.
  if (pattern.startsWith('|')) {
    const [program] = pattern.slice(1).trim().split(/\s+/);
    const note = limit === 0 ? '; the limit (ulimit -c) is 0, which it may respect' : '';
    return `core files are on: the kernel hands them to ${printable(program)} on the host${howOf(program)}${note}`;
  }
  if (limit === 0) return 'core files are off: their limit is 0 bytes; ulimit -c unlimited (docker run --ulimit core=-1) before it starts';
  const name = usesPid && !pattern.includes('%p') ? `${pattern}.%p` : pattern;
  const where = name.startsWith('/') ? 'its file system' : 'its working directory';
  const cut = Number.isFinite(limit) ? `, cut at ${size(limit)}, and of no use then: ulimit -c unlimited` : '';
  return `core files are on: ${printable(name)} in ${where}${cut}`;
}

const howOf = (program) => (program.endsWith('/systemd-coredump') ? ' (coredumpctl dump PID --output core)' : '');

/** The soft limit of "Max core file size". */
function coreLimit(limits) {
  const [, soft] = /^Max core file size\s+(\S+)/m.exec(limits) ?? [];
  return soft === undefined || soft === 'unlimited' ? Infinity : Number(soft);
}

/** What is not dumpable has files in /proc that are root's (proc(5)). */
function isDumpable(target) {
  const user = Number(target.status('Uid').split(/\s+/)[1]);
  return fs.statSync(target.at('.')).uid === user;
}

function read(file) {
  try {
    return fs.readFileSync(file, 'utf8').trim();
  } catch {
    return undefined;
  }
}

module.exports = { PAGE, cores, describe };

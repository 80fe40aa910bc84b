'use strict';

// How much memory a process may still use, as src/process/linux/memory.rs finds it for the process itself, and what a
// child of it may have of that (src/snapshot/budget.rs).

const fs = require('node:fs');
const path = require('node:path');

const MIB = 1024 * 1024;

/** A child holds so many times the heap for itself (README.md, Limits). */
const LEAST_TIMES = 4;
const MOST_TIMES = 8;
/** What stays with the application: so much, and this part of what is left (src/snapshot/budget.rs). */
const MARGIN = 16 * MIB;
const MARGIN_PART = 1 / 16;
/** The part of shared pages that either side copies. */
const copiedPart = ({ oomGroup }) => (oomGroup ? 1 : 1 / 4);
/** Without a limit, version 1 shows a number near 2^63. */
const NO_LIMIT = 2 ** 60;

/** The nearest limit of a process: `{available, bound, oomGroup}`; undefined without /proc. */
function headroom(target) {
  const groups = controlGroups(target.read('cgroup'));
  const bounds = [
    { bound: "the machine's available memory", available: kilobytes(read('/proc/meminfo'), 'MemAvailable') },
    ...groups.map((group) => ({ bound: 'the memory control group', available: left(group) })),
    { bound: 'RLIMIT_AS (ulimit -v)', available: belowLimit(target, 'Max address space', 'VmSize') },
    { bound: 'RLIMIT_DATA (ulimit -d)', available: belowLimit(target, 'Max data size', 'VmData') },
  ].filter(({ available }) => available !== undefined);
  if (bounds.length === 0) return undefined;
  const nearest = bounds.reduce((a, b) => (b.available < a.available ? b : a));
  return {
    ...nearest,
    oomGroup: groups.some(({ version, directory }) => version === 2 && number(directory, 'memory.oom.group') === 1),
  };
}

/** What a child may allocate: less a margin for the application and what either side copies of shared pages. */
function childBudget({ available, oomGroup }, anonymous) {
  return Math.max(0, available * (1 - MARGIN_PART) - MARGIN - anonymous * copiedPart({ oomGroup }));
}

/** What must be left for a compressed image: a child's own, its page tables, what is copied (`image_needs` of src/snapshot/budget.rs). */
const imageNeeds = (anonymous, pageTables = 0) => 6 * MIB + (pageTables * 13) / 12 + anonymous / 128;

/** The limit under which a snapshot of `heap` fits, beside `rest` of other memory, if it needs most. */
function limitFor(heap, rest, group) {
  const wanted = MOST_TIMES * heap + MARGIN + (heap + rest) * copiedPart(group);
  return heap + rest + wanted / (1 - MARGIN_PART);
}

/** The heap of which a snapshot fits below the group's limit, if it needs most. */
function largestHeap(rest, group) {
  const free = (group.most - rest) * (1 - MARGIN_PART) - MARGIN - rest * copiedPart(group);
  return Math.max(0, free / (MOST_TIMES + 1 - MARGIN_PART + copiedPart(group)));
}

/**
 * The smallest limit of a process' memory control groups: `most` before it is slowed down (memory.high of version 2) and
 * `hard` before the kernel kills. Undefined where none has one. `root`: of a fixture, for tests.
 */
function groupLimits(target, root = '/') {
  const limits = { most: [], hard: [], oomGroup: false };
  for (const { directory, version } of groupsOf(target.read('cgroup'), 'memory', root)) {
    const hard = number(directory, version === 1 ? 'memory.limit_in_bytes' : 'memory.max');
    const high = version === 1 ? undefined : number(directory, 'memory.high');
    if (hard < NO_LIMIT) limits.hard.push(hard);
    limits.most.push(...[hard, high].filter((limit) => limit < NO_LIMIT));
    limits.oomGroup ||= version === 2 && number(directory, 'memory.oom.group') === 1;
  }
  if (limits.most.length === 0) return undefined;
  return { most: Math.min(...limits.most), hard: Math.min(...limits.hard), oomGroup: limits.oomGroup };
}

/** How many processes more its control groups and limits allow. */
function processesLeft(target) {
  const limits = [];
  for (const { directory } of groupsOf(target.read('cgroup'), 'pids')) {
    const most = number(directory, 'pids.max');
    if (most !== undefined) limits.push(most - (number(directory, 'pids.current') ?? 0));
  }
  return limits.length === 0 ? undefined : Math.min(...limits);
}

const controlGroups = (cgroup) => groupsOf(cgroup, 'memory');

/** The process' group of a controller and those above it, as far as we can see them: `{directory, version}`. */
function groupsOf(cgroup, controller, above = '/') {
  const groups = [];
  for (const line of read(path.join(above, 'proc/self/mountinfo')).split('\n')) {
    const [mount, filesystem] = line.split(' - ');
    if (filesystem === undefined) continue;
    const [root, shown] = mount.split(' ').slice(3);
    const point = path.join(above, shown);
    const [type, , options = ''] = filesystem.split(' ');
    const version =
      type === 'cgroup2' ? 2 : type === 'cgroup' && options.split(',').includes(controller) ? 1 : undefined;
    const own = version && membership(cgroup, version, controller);
    if (own === undefined) continue;
    // In a container without a namespace of its own the path is the host's and the mount shows only the group.
    const below = own === root || own.startsWith(`${root.replace(/\/$/, '')}/`) ? path.relative(root, own) : '';
    let directory = path.join(point, below);
    if (!fs.existsSync(directory)) directory = point;
    for (; directory === point || directory.startsWith(`${point}/`); directory = path.dirname(directory)) {
      groups.push({ directory, version });
      if (directory === '/') break;
    }
  }
  return groups;
}

function membership(cgroup, version, controller) {
  for (const line of cgroup.split('\n')) {
    const [, controllers, name] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (name === undefined) continue;
    if (version === 2 ? controllers === '' : controllers.split(',').includes(controller)) return name;
  }
  return undefined;
}

/** Clean file pages count as used but go first. */
function left({ directory, version }) {
  const [limits, used, reclaimable] =
    version === 1
      ? [['memory.limit_in_bytes'], 'memory.usage_in_bytes', 'total_inactive_file']
      : [['memory.max', 'memory.high'], 'memory.current', 'inactive_file'];
  const all = limits.map((name) => number(directory, name)).filter((limit) => limit !== undefined);
  const usage = number(directory, used);
  if (all.length === 0 || usage === undefined) return undefined;
  const inactive = Number(
    new RegExp(`^${reclaimable} (\\d+)$`, 'm').exec(read(path.join(directory, 'memory.stat')))?.[1] ?? 0,
  );
  return Math.max(0, Math.min(...all) - Math.max(0, usage - inactive));
}

function belowLimit(target, name, used) {
  const limit = new RegExp(`^${name}\\s+(\\d+)`, 'm').exec(target.read('limits'))?.[1];
  return limit === undefined ? undefined : Math.max(0, Number(limit) - target.memory(used));
}

/** The word "max" is no number. */
function number(directory, name) {
  const text = read(path.join(directory, name)).trim();
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

function kilobytes(text, name) {
  const value = new RegExp(`^${name}:\\s*(\\d+) kB`, 'm').exec(text)?.[1];
  return value === undefined ? undefined : Number(value) * 1024;
}

function read(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

module.exports = {
  LEAST_TIMES,
  MOST_TIMES,
  childBudget,
  groupLimits,
  headroom,
  imageNeeds,
  largestHeap,
  limitFor,
  processesLeft,
};

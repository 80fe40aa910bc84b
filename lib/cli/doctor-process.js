'use strict';

// What a dump of another process would meet, as far as that is seen from outside.

const fs = require('node:fs');

const { Problem, printable, size } = require('./command.js');
const { FORK_MS_PER_MB, LEAST_BUDGET, LEAST_TIMES, MOST_TIMES, bad, good, warning } = require('./findings.js');
const { files, groupNote, growth, image, limits, nodeSignal, nodemon, under } = require('./findings.js');
const { childBudget, groupLimits, headroom, processesLeft } = require('./memory.js');
const { cores } = require('./cores.js');
const { userName } = require('./processes.js');
const { about, obstacleOutside, stopOutside } = require('./ways.js');

function lookAt(target) {
  if (!target.isNode()) throw new Problem(`process ${target.describe()} is not a Node process`);
  const facts = target.facts();
  const loaded = target.hasLoadedPackage(facts);
  const signal = target.dumpSignal(facts);
  const anonymous = target.memory('RssAnon');
  return [
    ask(target, loaded, facts, signal),
    forkOf(target, facts),
    memoryOf(target, anonymous, facts),
    ...image(target, headroom(target), facts),
    ...limits({ heapLimit: facts?.heapLimit ?? heapLimitOf(target), group: groupLimits(target) }),
    signalOf(target, loaded, facts, signal),
    filesOf(target, loaded, facts),
    ...cores(target),
    pauseOf(target, anonymous, loaded),
    ...(facts?.lastSnapshot === undefined ? [] : [lastOf(facts.lastSnapshot)]),
  ];
}

function ask(target, loaded, facts, signal) {
  const who = `${target.describe()} of ${userName(Number.parseInt(target.status('Uid'), 10))}`;
  if (signal !== undefined) return good('process', `${who} has loaded heapdump-rs ${facts.version}`);
  if (facts !== undefined) {
    const without = `${who} has loaded heapdump-rs ${facts.version}, not its signal`;
    return warning('process', `${without}: load the main entry, without nosignal`);
  }
  if (loaded) {
    const silent = `${who} has loaded heapdump-rs and does not say how it is asked`;
    return warning('process', `${silent}: another version, or a seccomp filter or an old kernel refuses memfd_create(2)`);
  }
  return warning('process', `${who} has not loaded heapdump-rs: ${unloaded(target)}`);
}

/** How it is asked then. */
function unloaded(target) {
  const obstacle = obstacleOutside(target);
  if (obstacle === undefined) return `node-snapshot --pid ${target.pid} captures it from outside, stopped for ${about(stopOutside(target))}`;
  return `it cannot be captured from outside (${obstacle}), and its inspector would stop it for seconds; load the package`;
}

function forkOf(target, facts) {
  if (facts?.mode === 'inline')
    return warning('fork', 'NODE_HEAPDUMP_OPTIONS says nofork: dumps stop the process; take the word out');
  const left = processesLeft(target);
  if (left !== undefined && left < 1)
    return bad('fork', 'the pids control group is full: raise pids.max (docker run --pids-limit)');
  const overcommit = readNumber('/proc/sys/vm/overcommit_memory');
  if (overcommit === 2) {
    const [limit, used] = ['CommitLimit', 'Committed_AS'].map((name) => meminfo(name));
    if (limit - used < target.memory('VmData')) {
      const left = size(Math.max(0, limit - used));
      return bad('fork', `vm.overcommit_memory is 2 and ${left} may still be promised, less than it has: set it to 0`);
    }
  }
  const notes = [];
  if (target.status('Seccomp') === '2')
    notes.push('a seccomp filter is in force; that of Docker and Kubernetes lets it');
  if (target.status('NSpid')?.split(/\s+/).at(-1) === '1')
    notes.push('it is PID 1: its exit waits for a dump, unless an init (docker run --init) is there');
  return good('fork', ['nothing is seen that would keep it from forking', ...notes].join('; '));
}

function memoryOf(target, anonymous, facts) {
  const found = headroom(target);
  if (found === undefined) return bad('memory', 'nothing can be read of it in /proc');
  const budget = childBudget(found, anonymous);
  const text =
    `a child may have ${size(budget)} of the ${size(found.available)} below ${found.bound}; ` +
    `it takes ${LEAST_TIMES} to ${MOST_TIMES} times V8's heap, which is ${size(anonymous)} at most${groupNote(found)}`;
  const isMaybe = budget < anonymous * LEAST_TIMES;
  if (isMaybe && facts?.lowMemory === 'image') return warning('memory', `${text}: a dump may be an image`);
  if (budget < LEAST_BUDGET) return bad('memory', `${text}: a dump would be refused; raise the limit`);
  if (isMaybe) return warning('memory', `${text}: a dump may be refused; raise the limit`);
  return good('memory', text);
}

/**
 * What V8's heap may take in a process that does not say so: its option, or what Node.js chooses at least, half of the control
 * group's limit and 2 GB at most (`Heap::HeapSizeFromPhysicalMemory` of V8, which Node.js hands `uv_get_constrained_memory`).
 * What there is beside the heap is not known.
 */
function heapLimitOf(target) {
  const options = target.nodeOptions().join(' ').replaceAll('_', '-');
  const [, megabytes] = [...options.matchAll(/--max-old-space-size[= ](\d+)/g)].at(-1) ?? [];
  if (megabytes !== undefined) return Number(megabytes) * 2 ** 20;
  return Math.min((groupLimits(target)?.hard ?? Infinity) / 2, 2 ** 31);
}

function signalOf(target, loaded, facts, signal) {
  const wanted = facts === undefined ? 'SIGUSR2' : facts.signal;
  if (under(target, 'nodemon') && wanted === 'SIGUSR2') return nodemon();
  if (signal !== undefined) {
    const name = target.variable('pm_id') === undefined ? undefined : (target.variable('name') ?? 'NAME');
    const how = name ? `pm2 sendSignal ${signal} ${printable(name)}` : `kill -${signal.slice(3)} ${target.pid}`;
    return good('signal', `${signal} dumps (${how})${nodeSignal(target.nodeOptions(), signal)}`);
  }
  if (target.nodeOptions().includes('--heapsnapshot-signal=SIGUSR2')) {
    return warning('signal', 'SIGUSR2 makes Node.js itself write a snapshot, which stops it; load heapdump-rs');
  }
  if (target.catches('SIGUSR2')) {
    const both = 'with heapdump-rs both would act, NODE_HEAPDUMP_OPTIONS=signal=SIGHUP avoids that';
    return warning('signal', `SIGUSR2 is answered by the application or another package; ${both}`);
  }
  return facts !== undefined
    ? warning('signal', 'no signal dumps; SIGUSR2 would end the process')
    : warning('signal', 'SIGUSR2 would end the process: send it only to one that has loaded heapdump-rs');
}

/** Until it is loaded, dumps would go where the process is. */
function filesOf(target, loaded, facts) {
  if (facts === undefined && loaded) return warning('files', 'where dumps of the signal go is not known');
  const directory = facts?.directory ?? fs.readlinkSync(target.at('cwd'));
  return files(directory, target.file(directory), target, facts && (facts.directoryFrom ?? 'its current directory'));
}

/** What became of the last request, for somebody who looks for its file. */
function lastOf({ cause, state, path: name, code, message, bytes }) {
  const what = `the last snapshot (${cause})${name === undefined ? '' : ` into ${printable(name)}`}`;
  if (state === 'complete') return good('last', `${what} is complete, ${size(bytes)}`);
  if (state === 'failed') return warning('last', `${what} failed: ${printable(message ?? '')} (${code})`);
  return good('last', `${what} ${state === 'running' ? 'is being taken' : 'waits for another'}`);
}

function pauseOf(target, anonymous, loaded) {
  if (loaded)
    return good(
      'pause',
      `about ${Math.ceil((anonymous / 1e6) * FORK_MS_PER_MB + 5)} ms of CPU for its ${size(anonymous)}; ${growth()}`,
    );
  if (obstacleOutside(target) === undefined) return good('pause', `${about(stopOutside(target))}, from outside`);
  return warning(
    'pause',
    'as long as the snapshot takes, many seconds for a large heap: load heapdump-rs for a short one',
  );
}

const readNumber = (file) => Number.parseInt(fs.readFileSync(file, 'utf8'), 10);
const meminfo = (name) =>
  Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(fs.readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0) * 1024;

module.exports = { lookAt };

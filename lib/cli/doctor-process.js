'use strict';

// What a dump of another process would meet, as far as that is seen from outside.

const fs = require('node:fs');

const { Problem, printable, size } = require('./command.js');
const { FORK_MS_PER_MB, LEAST_BUDGET, LEAST_TIMES, MOST_TIMES, bad, good, warning } = require('./findings.js');
const { files, groupNote, growth, nodeSignal, nodemon, under } = require('./findings.js');
const { childBudget, headroom, processesLeft } = require('./memory.js');
const { userName } = require('./processes.js');

function lookAt(target) {
  if (!target.isNode()) throw new Problem(`process ${target.describe()} is not a Node process`);
  const loaded = target.hasLoadedPackage();
  const signal = target.dumpSignal();
  const anonymous = target.memory('RssAnon');
  const directory = target.dumpDirectory();
  return [
    ask(target, loaded, signal),
    forkOf(target),
    memoryOf(target, anonymous),
    signalOf(target, loaded, signal),
    files(directory, target.file(directory), target),
    pauseOf(target, anonymous, loaded),
  ];
}

function ask(target, loaded, signal) {
  const who = `${target.describe()} of ${userName(Number.parseInt(target.status('Uid'), 10))}`;
  if (signal !== undefined) return good('process', `${who} has loaded heapdump-rs`);
  if (loaded)
    return warning('process', `${who} has loaded heapdump-rs, not its signal: load the main entry, without nosignal`);
  return warning('process', `${who} has not loaded heapdump-rs: a dump would stop it (inspector); load the package`);
}

function forkOf(target) {
  if (!target.packageOptions().fork)
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

function memoryOf(target, anonymous) {
  const found = headroom(target);
  if (found === undefined) return bad('memory', 'nothing can be read of it in /proc');
  const budget = childBudget(found, anonymous);
  const text =
    `a child may have ${size(budget)} of the ${size(found.available)} below ${found.bound}; ` +
    `it takes ${LEAST_TIMES} to ${MOST_TIMES} times V8's heap, which is ${size(anonymous)} at most${groupNote(found)}`;
  if (budget < LEAST_BUDGET) return bad('memory', `${text}: a dump would be refused; raise the limit`);
  if (budget < anonymous * LEAST_TIMES) return warning('memory', `${text}: a dump may be refused; raise the limit`);
  return good('memory', text);
}

function signalOf(target, loaded, signal) {
  const { signal: wanted = 'none' } = target.packageOptions();
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
  return loaded
    ? warning('signal', 'no signal dumps; SIGUSR2 would end the process')
    : warning('signal', 'SIGUSR2 would end the process: send it only to one that has loaded heapdump-rs');
}

function pauseOf(target, anonymous, loaded) {
  if (loaded)
    return good(
      'pause',
      `about ${Math.ceil((anonymous / 1e6) * FORK_MS_PER_MB + 5)} ms of CPU for its ${size(anonymous)}; ${growth()}`,
    );
  return warning(
    'pause',
    'as long as the snapshot takes, many seconds for a large heap: load heapdump-rs for a short one',
  );
}

const readNumber = (file) => Number.parseInt(fs.readFileSync(file, 'utf8'), 10);
const meminfo = (name) =>
  Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(fs.readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0) * 1024;

module.exports = { lookAt };

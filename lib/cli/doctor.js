'use strict';

// npx heapdump-rs doctor: what a dump would meet, a line each, with what to do.

const fs = require('node:fs');
const path = require('node:path');

const { EXIT, Problem, printable, size, wholeNumber } = require('./command.js');
const { childBudget, headroom, processesLeft } = require('./memory.js');
const { plainly } = require('./output.js');
const { Target, readPackageOptions, userName, whileItRuns } = require('./processes.js');

const help = `Says what a dump would meet: can a child be forked, memory, signals, files, the pause to expect

Usage: heapdump-rs doctor [--pid PID] [--json]

Options:
  --pid PID   A running process instead of this shell's surroundings (Linux)
  --json      Answer in JSON
  -h, --help  Print help

Exit codes: 0 nothing prevents a dump, 1 something does, 2 the process cannot be looked at

Example:
  heapdump-rs doctor --pid 4242
`;

const options = { pid: { type: 'string' }, json: { type: 'boolean' } };

/** A child holds so many times the heap for itself (README.md, Limits). */
const LEAST_TIMES = 4;
const MOST_TIMES = 8;
/** CPU time of fork(2): it copies page tables. Measured; see README.md. */
const FORK_MS_PER_MB = 0.12;
/** Without this much no child begins (src/snapshot/budget.rs). */
const LEAST_BUDGET = 24 * 1024 * 1024;

async function main({ pid, json }) {
  const target = pid === undefined ? undefined : new Target(wholeNumber('pid', pid));
  const findings = await (target === undefined ? here() : whileItRuns(target, () => of(target)));
  if (json) console.log(JSON.stringify(findings, null, 2));
  else for (const { check, state, text } of findings) console.log(`${MARKS[state]} ${check.padEnd(7)} ${text}`);
  return findings.some(({ state }) => state === 'bad') ? EXIT.findings : EXIT.fine;
}

const MARKS = { good: '✓', warning: '!', bad: '✗' };
const good = (check, text) => ({ check, state: 'good', text });
const warning = (check, text) => ({ check, state: 'warning', text });
const bad = (check, text) => ({ check, state: 'bad', text });

/** What an application that is started here would meet: a child is really forked. */
async function here() {
  const attempt = await tryFork();
  const target = process.platform === 'linux' ? new Target(process.pid) : undefined;
  const parent = process.platform === 'linux' ? tryTarget(process.ppid) : undefined;
  const settings = {
    package: readPackageOptions(process.env.NODE_HEAPDUMP_OPTIONS),
    node: (process.env.NODE_OPTIONS ?? '').split(/\s+/).filter(Boolean),
  };
  const directory = path.resolve(settings.package.directory);
  return [
    attempt.finding,
    ...(target === undefined ? [] : [memoryHere(target)]),
    signalHere(settings, parent),
    files(directory, directory, undefined),
    ...(attempt.report === undefined ? [] : [good('pause', `${attempt.report.pause.toFixed(1)} ms for this small process; ${growth()}`)]),
  ];
}

async function tryFork() {
  const platform = `Node.js ${process.versions.node}, ${process.platform}-${process.arch}`;
  let addon;
  try {
    addon = require('../promises.js');
  } catch (error) {
    return { finding: bad('fork', `${printable(error.message.split('\n', 1)[0])}: install it for this platform, or build it from source`) };
  }
  if (process.platform !== 'linux') {
    return { finding: warning('fork', `${platform}: only Linux has it; snapshots are taken in process, which stands still`) };
  }
  try {
    const report = await addon.writeSnapshot('/dev/null', { mode: 'fork' });
    return { report, finding: good('fork', `a child took a snapshot of this process in ${Math.round(report.duration)} ms (${platform})`) };
  } catch (error) {
    return { finding: bad('fork', `${printable(error.message)} (${error.code}, ${platform}): README.md, Troubleshooting, says what to do`) };
  }
}

function memoryHere(target) {
  const found = headroom(target);
  if (found === undefined) return bad('memory', 'nothing can be read of it in /proc: mount it');
  const budget = childBudget(found, 0);
  const text = `${size(found.available)} are left below ${found.bound}: enough for a heap of ${size(budget / MOST_TIMES)} to ${size(budget / LEAST_TIMES)}`;
  return budget < LEAST_BUDGET ? bad('memory', `${text}: raise the limit`) : good('memory', `${text}${groupNote(found)}`);
}

const groupNote = ({ oomGroup }) => (oomGroup ? '; memory.oom.group is set, so the memory that the application has counts twice' : '');

function signalHere(settings, parent) {
  const { signal } = settings.package;
  if (signal === undefined) return warning('signal', 'NODE_HEAPDUMP_OPTIONS says nosignal: nothing is dumped on a signal; take the word out if that is not wanted');
  if (parent !== undefined && under(parent, 'nodemon') && signal === 'SIGUSR2') return nodemon();
  const own = nodeSignal(settings.node, signal);
  return good('signal', `${signal} dumps, once the application has loaded heapdump-rs${own}`);
}

const nodeSignal = (options, signal) =>
  options.includes(`--heapsnapshot-signal=${signal}`) ? ` (which then answers instead of --heapsnapshot-signal=${signal})` : '';

const nodemon = () =>
  warning('signal', 'nodemon restarts by SIGUSR2, which dumps instead: start it with --signal SIGTERM, or set NODE_HEAPDUMP_OPTIONS=signal=SIGHUP');

/** What a dump of that process would meet. */
function of(target) {
  if (!target.isNode()) throw new Problem(`process ${target.describe()} is not a Node process`);
  const loaded = target.hasLoadedPackage();
  const signal = target.dumpSignal();
  const anonymous = target.memory('RssAnon');
  const directory = target.dumpDirectory();
  return [
    ask(target, loaded, signal),
    fork(target, loaded),
    memoryOf(target, anonymous, loaded),
    signalOf(target, loaded, signal),
    files(directory, target.file(directory), target),
    pauseOf(target, anonymous, loaded),
  ];
}

function ask(target, loaded, signal) {
  const who = `${target.describe()} of ${userName(Number.parseInt(target.status('Uid'), 10))}`;
  if (signal !== undefined) return good('process', `${who} has loaded heapdump-rs`);
  if (loaded) return warning('process', `${who} has loaded heapdump-rs without its signal: let it load the main entry, without nosignal`);
  return warning('process', `${who} has not loaded heapdump-rs: a dump through its inspector would stop it; load the package`);
}

function fork(target, loaded) {
  if (!target.packageOptions().fork) return warning('fork', 'NODE_HEAPDUMP_OPTIONS says nofork: dumps stop the process; take the word out');
  const left = processesLeft(target);
  if (left !== undefined && left < 1) return bad('fork', 'the pids control group is full: raise pids.max (docker run --pids-limit)');
  const overcommit = readNumber('/proc/sys/vm/overcommit_memory');
  if (overcommit === 2) {
    const [limit, used] = ['CommitLimit', 'Committed_AS'].map((name) => meminfo(name));
    if (limit - used < target.memory('VmData')) {
      return bad('fork', `vm.overcommit_memory is 2 and ${size(Math.max(0, limit - used))} may still be promised, less than the process has: set it to 0`);
    }
  }
  const notes = [];
  if (target.status('Seccomp') === '2') notes.push('a seccomp filter is in force; that of Docker and Kubernetes lets it');
  if (target.status('NSpid')?.split(/\s+/).at(-1) === '1') notes.push('it is PID 1: with an init (docker run --init) its exit need not wait for a dump');
  const text = `nothing is seen that would keep ${loaded ? 'it' : 'the process'} from forking`;
  return good('fork', [text, ...notes].join('; '));
}

function memoryOf(target, anonymous) {
  const found = headroom(target);
  if (found === undefined) return bad('memory', 'nothing can be read of it in /proc');
  const budget = childBudget(found, anonymous);
  const text =
    `a child may have ${size(budget)} of the ${size(found.available)} below ${found.bound}; it takes ${LEAST_TIMES} to ${MOST_TIMES} times V8's heap, ` +
    `which is ${size(anonymous)} at most${groupNote(found)}`;
  if (budget < LEAST_BUDGET) return bad('memory', `${text}: a dump would be refused; raise the limit`);
  if (budget < anonymous * LEAST_TIMES) return warning('memory', `${text}: a dump may be refused; raise the limit`);
  return good('memory', text);
}

function signalOf(target, loaded, signal) {
  const { signal: wanted = 'none' } = target.packageOptions();
  if (under(target, 'nodemon') && wanted === 'SIGUSR2') return nodemon();
  if (signal !== undefined) {
    const pm2 = target.variable('pm_id') === undefined ? `kill -${signal.slice(3)} ${target.pid}` : `pm2 sendSignal ${signal} ${printable(target.variable('name') ?? 'NAME')}`;
    return good('signal', `${signal} dumps (${pm2})${nodeSignal(target.nodeOptions(), signal)}`);
  }
  if (target.nodeOptions().includes('--heapsnapshot-signal=SIGUSR2')) return warning('signal', 'SIGUSR2 makes Node.js itself write a snapshot, which stops the process; load heapdump-rs');
  if (target.catches('SIGUSR2')) return warning('signal', 'SIGUSR2 is answered by the application or another package; with heapdump-rs both would act, signal=SIGHUP avoids that');
  return loaded
    ? warning('signal', 'no signal dumps; SIGUSR2 would end the process')
    : warning('signal', 'SIGUSR2 would end the process: send it only to one that has loaded heapdump-rs');
}

/** `seen` is where we see the directory `name` of the process. */
function files(name, seen, target) {
  const shown = printable(name);
  if (target?.nodeOptions().some((option) => /^--(experimental-)?permission$/.test(option))) {
    return warning('files', `${shown}: Node's permission model is on; it takes --allow-addons and --allow-fs-write=${shown}`);
  }
  try {
    if (!fs.statSync(seen).isDirectory()) return bad('files', `${shown} is no directory: set NODE_HEAPDUMP_OPTIONS=dir=PATH`);
    fs.accessSync(seen, fs.constants.W_OK | fs.constants.X_OK);
  } catch (error) {
    return bad('files', `dumps of the signal cannot go to ${shown}: ${plainly(error)}; set NODE_HEAPDUMP_OPTIONS=dir=PATH`);
  }
  if (target !== undefined && !mayWrite(target, fs.statSync(seen))) {
    return bad('files', `dumps of the signal cannot go to ${shown}: its user may not write there; set NODE_HEAPDUMP_OPTIONS=dir=PATH`);
  }
  const { bavail, bsize } = fs.statfsSync(seen);
  const text = `dumps of the signal go to ${shown}, where ${size(bavail * bsize)} are free`;
  const wanted = 2 * (target?.memory('RssAnon') ?? 0);
  if (bavail * bsize < wanted) return warning('files', `${text}: a file may be twice as large as the heap, so make room or set NODE_HEAPDUMP_OPTIONS=gzip`);
  return good('files', text);
}

/** As the kernel decides it for another user, access control lists apart. */
function mayWrite(target, { uid, gid, mode }) {
  const own = Number(target.status('Uid').split(/\s+/)[1]);
  if (own === 0) return true;
  const groups = [target.status('Gid').split(/\s+/)[1], ...target.status('Groups').split(/\s+/)].filter(Boolean).map(Number);
  const shift = own === uid ? 6 : groups.includes(gid) ? 3 : 0;
  return ((mode >> shift) & 3) === 3;
}

function pauseOf(target, anonymous, loaded) {
  if (loaded) return good('pause', `about ${Math.ceil((anonymous / 1e6) * FORK_MS_PER_MB + 5)} ms of CPU for its ${size(anonymous)}; ${growth()}`);
  return warning('pause', 'as long as the snapshot takes, many seconds for a large heap: load heapdump-rs for a short one');
}

const growth = () => `it grows by about ${FORK_MS_PER_MB} ms a MB, and several times that where the machine is busy`;

/** Whether a process that is called so started it, directly or by way of a shell. */
function under(target, name) {
  let now = target;
  for (let i = 0; i < 4 && now !== undefined; i++) {
    if (now.commandLine().some((word) => path.basename(word).replace(/\.js$/, '') === name)) return true;
    now = tryTarget(now.stat().parent);
  }
  return false;
}

function tryTarget(pid) {
  try {
    return new Target(pid);
  } catch {
    return undefined;
  }
}

const readNumber = (file) => Number.parseInt(fs.readFileSync(file, 'utf8'), 10);
const meminfo = (name) => Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(fs.readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0) * 1024;

module.exports = { help, options, main };

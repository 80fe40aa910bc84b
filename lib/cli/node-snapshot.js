'use strict';

// npx heapdump-rs node-snapshot: a snapshot of a running process into a file here.

const { IMAGE_NAME } = require('../extensions.js');
const { Problem, Progress, printable, size, wholeNumber } = require('./command.js');
const { advice } = require('./image.js');
const { Output } = require('./output.js');
const { Target, whileItRuns } = require('./processes.js');

const help = `Fetches a heap snapshot of a running Node.js process into a file

Usage: heapdump-rs node-snapshot --endpoint URL --output FILE [--token TOKEN]
       heapdump-rs node-snapshot --pid PID [--exactly] [--via WAY] [--max-stop TIME] --output FILE
       heapdump-rs node-snapshot --pid PID --dry-run
       heapdump-rs node-snapshot --all PID --output FILE
       heapdump-rs node-snapshot --image IMAGE --output FILE [--node PATH] [--map OLD=NEW]
       heapdump-rs node-snapshot --image IMAGE --check
       heapdump-rs node-snapshot --core CORE [--node PATH] [--map OLD=NEW] --output FILE

Options:
  --endpoint URL     An HTTP endpoint that sends the snapshot, or answers {snapshot, size}: a file that is readable here
  --token TOKEN      Sent as "Authorization: Bearer TOKEN"; HEAPDUMP_TOKEN in the environment is not seen by others
  --method METHOD    POST or GET; without it POST, and GET where there is no POST
  --pid PID          A process of this machine (Linux). If it answers a signal for heapdump-rs, a child of it writes the
                     snapshot while it goes on; otherwise it is stopped for milliseconds and copied from outside (x64)
                     Of npm, a shell, \`node --watch\` or another that has started Node.js processes, the one of those that
                     has loaded heapdump-rs; if that is not one, they are listed
  --exactly          That process, whatever it has started
  --via WAY          signal, outside, or inspector, for which the process stands still until all is done; or auto: the
                     first of the first two that is open
  --dry-run          Says which way is open, and how long it would stop the process, and does nothing
  --max-stop TIME    From outside only if that would stop it for no longer: 200ms, 1s
  --thread NUMBER    From outside: the heap of that thread, a worker's, by the number that \`top -H\` shows for it
  --all-threads      From outside: the main thread's and each worker's, one after the other; {thread} in FILE is the number
  --trust-filter     You know that its seccomp filter lets it fork, where that cannot be seen
  --json             Answer in JSON, with what was done to the process
  --all PID          That process and all Node.js processes that it has started, one after the other; {pid} in FILE is
                     the pid, which otherwise comes before the extension
  --assume-loopback  You know that its inspector opens for this machine alone, where that cannot be seen
  --image IMAGE      A heap image (.heapimage, .zst, .age) of another time or machine: its process comes back in a sandbox,
                     as nobody where this is root, and V8 in it writes the snapshot (Linux x64)
  --core CORE        A core file of a Node.js process, which need not have loaded heapdump-rs; .zst too. As --image from there
  --identity FILE    The key of an image or core that is encrypted (.age), as age-keygen writes it; may be given again
  --check            Says what the image is and needs, and whether this machine will do: exit code 0 or 1
  --node PATH        The Node.js binary of the image or core, where it is not at its old place
  --map OLD=NEW      Another file, or directory of files, that the image or core names; may be given again
  --ignore-cpu       Try although this CPU lacks what the image's had
  --output FILE      Where the snapshot goes; compressed where the name ends in .gz or .zst. A name that ends in
                     .heapimage or .heapimage.zst asks for a heap image, which the process must allow
  --redact           Take the texts out before the first byte is written here: strings, numbers and keys become pseudonyms (not
                     of an image, which is refused then, or encrypted whole with --encrypt-to). A
                     process that answers a signal writes by itself: it is to be told, by NODE_HEAPDUMP_OPTIONS=redact
  --encrypt-to WHO   Encrypt it before the first byte is written here, to this recipient of age (age1…); may be given again. The
                     name then ends in .age
  --key-file FILE    With --redact: the key that pseudonyms depend on, 16 bytes or more
  --paths            With --redact: hide the paths of scripts too
  --force            Replace an older file
  --timeout SECONDS  Give up after that; without it as long as it takes
  -h, --help         Print help

Exit codes: 0 the file is whole, 2 there is no file; of --all: 1 some are missing, 2 all are; of --check: 0 this machine will
do, 1 it will not, 2 the image is none; of --dry-run: 0 a way is open, 1 none is

Examples:
  heapdump-rs node-snapshot --endpoint http://localhost:3000/debug/heap-snapshot --output baseline.heapsnapshot
  heapdump-rs node-snapshot --pid 4242 --output app.heapsnapshot.gz
  heapdump-rs node-snapshot --all 4242 --output app.{pid}.heapsnapshot.gz
  heapdump-rs node-snapshot --image app.heapimage.zst --output app.heapsnapshot
  heapdump-rs node-snapshot --core core.4242 --node ./node --output app.heapsnapshot
`;

const options = {
  endpoint: { type: 'string' },
  token: { type: 'string' },
  method: { type: 'string' },
  pid: { type: 'string' },
  exactly: { type: 'boolean' },
  via: { type: 'string' },
  'dry-run': { type: 'boolean' },
  'max-stop': { type: 'string' },
  thread: { type: 'string' },
  'all-threads': { type: 'boolean' },
  'trust-filter': { type: 'boolean' },
  json: { type: 'boolean' },
  all: { type: 'string' },
  output: { type: 'string' },
  force: { type: 'boolean' },
  redact: { type: 'boolean' },
  'encrypt-to': { type: 'string', multiple: true },
  'key-file': { type: 'string' },
  paths: { type: 'boolean' },
  'assume-loopback': { type: 'boolean' },
  timeout: { type: 'string' },
  image: { type: 'string' },
  core: { type: 'string' },
  check: { type: 'boolean' },
  node: { type: 'string' },
  map: { type: 'string', multiple: true },
  'ignore-cpu': { type: 'boolean' },
  identity: { type: 'string', multiple: true },
};

async function main(values) {
  const { endpoint, token, method, pid, exactly, all, image, core, output: file, force = false, timeout } = values;
  if ([endpoint, pid, all, image, core].filter((given) => given !== undefined).length !== 1)
    throw new Problem('one of --endpoint, --pid, --all, --image and --core is needed; --help shows how');
  for (const name of ['check', 'node', 'map', 'ignore-cpu', 'identity']) {
    if (values[name] !== undefined && image === undefined && core === undefined) throw new Problem(`--${name} belongs to --image`);
  }
  if (values.check && image === undefined) throw new Problem('--check belongs to --image');
  for (const name of ['via', 'max-stop', 'trust-filter']) {
    if (values[name] !== undefined && pid === undefined && all === undefined) throw new Problem(`--${name} belongs to --pid`);
  }
  if ((values.thread !== undefined || values['all-threads']) && pid === undefined) throw new Problem('--thread and --all-threads belong to --pid');
  if (values['all-threads'] && (values.thread !== undefined || values.json)) throw new Problem('--all-threads takes all of them, one after the other: without --thread and --json');
  if (values['dry-run'] && pid === undefined) throw new Problem('--dry-run belongs to --pid');
  if (values.json && pid === undefined) throw new Problem('--json belongs to --pid');
  if (!file && !values.check && !values['dry-run']) throw new Problem('--output is needed: the file to write');
  if (method !== undefined && method !== 'GET' && method !== 'POST') throw new Problem('--method must be POST or GET');
  if (exactly && pid === undefined) throw new Problem('--exactly belongs to --pid');
  const limit = timeout === undefined ? undefined : wholeNumber('timeout', timeout) * 1000;
  const signalOf = () => (limit === undefined ? undefined : AbortSignal.timeout(limit));
  if (values.check) return require('./from-image.js').check(image, values, signalOf());
  const ways = pid === undefined && all === undefined ? undefined : readWays(values);
  const redaction = redactionOf(values);
  const recipients = recipientsOf(values['encrypt-to']);
  const hidden = { redaction, recipients };
  if (redaction !== undefined && recipients === undefined && IMAGE_NAME.test(file)) {
    throw new Problem("an image is all of a process' memory, which cannot be redacted: encrypt it instead (--encrypt-to age1…)");
  }
  const progress = new Progress();
  const fromProcess = (target, name, thread = ways.thread) => {
    const signal = signalOf();
    const into = { force, hidden, json: ways.json };
    return write(name, into, progress, (output) => whileItRuns(target, () => take(target, output, progress, signal, { ...ways, thread })));
  };
  if (all !== undefined) return require('./all.js').takeAll(new Target(wholeNumber('all', all)), file, fromProcess);
  if (pid !== undefined) {
    const target = new Target(wholeNumber('pid', pid));
    const say = (text) => progress.say(text);
    const one = exactly ? target : await whileItRuns(target, () => require('./which.js').meant(target, say));
    if (values['dry-run']) return whileItRuns(one, () => require('./dry-run.js').dryRun(one, ways));
    if (values['all-threads']) return require('./all.js').takeThreads(one, file, (name, thread) => fromProcess(one, name, thread));
    await fromProcess(one, file);
    return;
  }
  if (image !== undefined) {
    const signal = signalOf();
    return write(file, { force, hidden }, progress, (output) => require('./from-image.js').fromImage(image, values, output, progress, signal));
  }
  if (core !== undefined) {
    const signal = signalOf();
    return write(file, { force, hidden }, progress, (output) => require('./core.js').fromCore(core, values, output, progress, signal));
  }
  const source = { url: endpoint, token: token ?? process.env.HEAPDUMP_TOKEN, method, signal: signalOf() };
  return write(file, { force, hidden }, progress, (output) => fetchFrom(source, output, progress));
}

/** How texts are taken out; undefined for not at all. */
function redactionOf({ redact, 'key-file': keyFile, paths }) {
  if (!redact && (keyFile !== undefined || paths)) throw new Problem('--key-file and --paths belong to --redact');
  if (!redact) return undefined;
  try {
    const key = keyFile === undefined ? undefined : require('node:fs').readFileSync(keyFile, 'latin1').trimEnd();
    return require('../redact.js').redactionOf({ key: key && Buffer.from(key, 'latin1'), paths });
  } catch (error) {
    throw new Problem(`--key-file: ${error.message}`);
  }
}

/** Who may read the file; undefined for everybody. */
function recipientsOf(given) {
  if (given === undefined) return undefined;
  try {
    return require('../encrypt.js').readRecipients(given, 'encrypt-to');
  } catch (error) {
    throw new Problem(error.message);
  }
}

/** Has `fetch` fill the file, and says what came, and what was done for it; gives that, too. */
async function write(file, { force, hidden, json = false }, progress, fetch) {
  const output = new Output(file, force, hidden);
  try {
    const { kind, bytes, nodes, report } = await fetch(output);
    progress.clear();
    if (json) {
      const found = { schemaVersion: 1, command: 'node-snapshot', file: output.path, kind, bytes, nodes: nodes ?? null, ...report };
      console.log(JSON.stringify(found, null, 2));
      return report;
    }
    if (report?.via === 'outside') progress.say(require('./outside.js').reported(report));
    if (kind === 'encrypted') console.log(`${output.path}: complete, ${size(bytes)}, encrypted; its recipients read it with --identity FILE`);
    else if (kind === 'image') console.log(`${output.path}: a heap image, complete, ${size(bytes)}; ${advice(output.path)}`);
    else console.log(`${output.path}: complete, ${size(bytes)}, ${nodes} objects`);
    return report;
  } finally {
    progress.clear();
    output.close();
  }
}

function fetchFrom(...args) {
  return require('./endpoint.js').fromEndpoint(...args);
}

async function take(target, output, progress, signal, ways) {
  if (target.pid === process.pid) throw new Problem('this is the process that asks');
  // It was found a while ago, and its number may be another's by now.
  if (!target.isRunning()) throw new Problem(`process ${target.pid} has ended`);
  const { via, thread } = ways;
  if (thread !== undefined && via !== 'auto' && via !== 'outside') throw new Problem(`--thread is taken from outside, and not by --via ${via}`);
  const name = thread === undefined ? target.dumpSignal() : undefined;
  const writesItself = via === 'signal' || (via === 'auto' && name !== undefined);
  if (writesItself && name !== undefined && (output.redacts || output.encrypts)) {
    const [word, option] = output.redacts ? ['redact', '--redact'] : ['encrypt=age1…', '--encrypt-to'];
    throw new Problem(
      `process ${target.pid} writes its snapshot by itself, and would write its texts: start it with NODE_HEAPDUMP_OPTIONS=${word}, ` +
        `and leave ${option} away`,
    );
  }
  if (writesItself) {
    if (name === undefined) throw new Problem(target.hasLoadedPackage() ? silent(target) : `process ${target.describe()} answers no signal for heapdump-rs`);
    return { ...(await require('./by-signal.js').bySignal(target, name, output, progress, signal)), report: { via: 'signal' } };
  }
  const { name: own, parent } = target.stat();
  if (own === 'heapdump')
    throw new Problem(`process ${target.pid} is a child that takes a snapshot; ask its parent, ${parent}`);
  require('./told.js').refuseWhatIsHidden(target, output);
  const { about, obstacleOutside, otherRuntime, stopInspector } = require('./ways.js');
  if (!target.isNode()) throw new Problem(`process ${target.describe()} is not a Node process${otherRuntime(target, ': ')}`);
  if (via === 'inspector') {
    const counts = await require('./inspector.js').byInspector(target, output, progress, signal, ways.trusted);
    return { ...counts, report: { via } };
  }
  const obstacle = obstacleOutside(target, ways);
  if (obstacle === undefined) return require('./outside.js').fromOutside(target, output, progress, signal, ways);
  if (via === 'auto' && target.facts() === undefined && target.hasLoadedPackage()) throw new Problem(silent(target));
  const help = via === 'auto' ? `. --via inspector stops it for ${about(stopInspector(target))}, until the snapshot is taken` : '';
  throw new Problem(`process ${target.describe()} cannot be captured from outside: ${obstacle}${help}`);
}

const WAYS = ['auto', 'signal', 'outside', 'inspector'];

/** How the process may be asked. */
function readWays({ via = 'auto', thread, 'max-stop': maxStop, 'trust-filter': trustsFilter = false, json = false, ...more }) {
  if (!WAYS.includes(via)) throw new Problem(`--via must be one of ${WAYS.join(', ')}, not ${printable(via)}`);
  const [, number, unit] = /^(\d{1,6})(ms|s)$/.exec(maxStop ?? '0ms') ?? [];
  if (number === undefined) throw new Problem(`--max-stop must be a time as 200ms or 1s, not ${printable(maxStop)}`);
  return {
    via,
    thread: thread === undefined ? undefined : wholeNumber('thread', thread),
    maxStop: maxStop === undefined ? undefined : Number(number) * (unit === 's' ? 1000 : 1),
    trustsFilter,
    json,
    trusted: more['assume-loopback'] ?? false,
    'ignore-cpu': more['ignore-cpu'],
  };
}

/** It need not stand still for its inspector, and which signal it answers is not to be guessed. */
function silent(target) {
  return (
    `process ${target.pid} has loaded heapdump-rs and does not say how it is asked: its version is another one, or a seccomp ` +
    'filter or an old kernel refuses memfd_create(2). Send the signal yourself that it was told to answer (SIGUSR2 unless ' +
    `NODE_HEAPDUMP_OPTIONS says another; ${target.catches('SIGUSR2') ? 'it is caught' : 'SIGUSR2 would end it'}): ` +
    'the file appears in the directory that it was told'
  );
}

module.exports = { help, options, main };

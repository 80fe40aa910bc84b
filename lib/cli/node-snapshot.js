'use strict';

// npx heapdump-rs node-snapshot: a snapshot of a running process into a file here.

const { Problem, Progress, size, wholeNumber } = require('./command.js');
const { Output } = require('./output.js');
const { Target, whileItRuns } = require('./processes.js');

const help = `Fetches a heap snapshot of a running Node.js process into a file

Usage: heapdump-rs node-snapshot --endpoint URL --output FILE [--token TOKEN]
       heapdump-rs node-snapshot --pid PID --output FILE

Options:
  --endpoint URL     An HTTP endpoint that sends the snapshot, or answers {snapshot, size}: a file that is readable here
  --token TOKEN      Sent as "Authorization: Bearer TOKEN"; HEAPDUMP_TOKEN in the environment is not seen by others
  --method METHOD    POST or GET; without it POST, and GET where there is no POST
  --pid PID          A process of this machine. If it answers a signal for heapdump-rs, a child of it writes the
                     snapshot while it goes on; otherwise its inspector does, and it stands still (Linux)
  --output FILE      Where the snapshot goes; compressed where the name ends in .gz or .zst
  --force            Replace an older file
  --timeout SECONDS  Give up after that; without it as long as it takes
  -h, --help         Print help

Exit codes: 0 the file is whole, 2 there is no file

Examples:
  heapdump-rs node-snapshot --endpoint http://localhost:3000/debug/heap-snapshot --output baseline.heapsnapshot
  heapdump-rs node-snapshot --pid 4242 --output app.heapsnapshot.gz
`;

const options = {
  endpoint: { type: 'string' },
  token: { type: 'string' },
  method: { type: 'string' },
  pid: { type: 'string' },
  output: { type: 'string' },
  force: { type: 'boolean' },
  timeout: { type: 'string' },
};

async function main({ endpoint, token, method, pid, output: file, force, timeout }) {
  if ((endpoint === undefined) === (pid === undefined))
    throw new Problem('either --endpoint or --pid is needed; --help shows how');
  if (!file) throw new Problem('--output is needed: the file to write');
  if (method !== undefined && method !== 'GET' && method !== 'POST') throw new Problem('--method must be POST or GET');
  const signal = timeout === undefined ? undefined : AbortSignal.timeout(wholeNumber('timeout', timeout) * 1000);
  const target = pid === undefined ? undefined : new Target(wholeNumber('pid', pid));
  const output = new Output(file, force ?? false);
  const progress = new Progress();
  try {
    const counts = await (target === undefined
      ? fetchFrom({ url: endpoint, token: token ?? process.env.HEAPDUMP_TOKEN, method, signal }, output, progress)
      : whileItRuns(target, () => take(target, output, progress, signal)));
    progress.clear();
    console.log(`${output.path}: complete, ${size(counts.bytes)}, ${counts.nodes} objects`);
  } finally {
    progress.clear();
    output.close();
  }
}

function fetchFrom(...args) {
  return require('./endpoint.js').fromEndpoint(...args);
}

function take(target, output, progress, signal) {
  if (target.pid === process.pid) throw new Problem('this is the process that asks');
  const name = target.dumpSignal();
  if (name !== undefined) return require('./by-signal.js').bySignal(target, name, output, progress, signal);
  const { name: own, parent } = target.stat();
  if (own === 'heapdump')
    throw new Problem(`process ${target.pid} is a child that takes a snapshot; ask its parent, ${parent}`);
  if (target.facts() === undefined && target.hasLoadedPackage()) throw new Problem(silent(target));
  if (!target.isNode()) throw new Problem(`process ${target.describe()} is not a Node process`);
  return require('./inspector.js').byInspector(target, output, progress, signal);
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

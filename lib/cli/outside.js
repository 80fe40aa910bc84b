'use strict';

// node-snapshot --pid of a process that has not loaded the package: it is stopped for milliseconds and forked from outside; what the
// copy holds streams into a process of the restorer, in which V8 takes the snapshot, or is kept as an image.

const { once } = require('node:events');
const zlib = require('node:zlib');

const { Problem, size } = require('./command.js');
const { ImageProblem, argumentsOf, failure, written } = require('./from-image.js');
const { withNames } = require('./image-words.js');
const { LEAST_TIMES, headroom } = require('./memory.js');
const { Target } = require('./processes.js');
const { Restorer } = require('./restorer.js');
const { Tracer } = require('./tracer.js');
const { about, stopOutside } = require('./ways.js');

/** A restored process may hang once in a long while, at a lock of a thread that stopped in an odd place: then once more. A busy machine may keep threads from stopping. */
const MOST_TRIES = 3;
/** As long as it may be stopped where --max-stop says nothing, in ms: a busy machine takes several times what is expected. */
const LEAST_STOP_LIMIT = 2000;
const STOP_LIMIT_TIMES = 3;

/** Why a process was not captured. It goes on. */
class OutsideProblem extends Problem {
  constructor(target, text) {
    super(`process ${target.pid} was not captured from outside, and goes on: ${text} [ERR_HEAPDUMP_OUTSIDE]`);
    this.code = 'ERR_HEAPDUMP_OUTSIDE';
  }
}

/**
 * Has `output` filled.
 * @param {import('./processes.js').Target} target that nothing keeps from being captured (ways.js)
 * @param {import('./output.js').Output} output
 * @param {{maxStop?: number, thread?: number, trustsFilter?: boolean, 'ignore-cpu'?: boolean}} options
 */
async function fromOutside(target, output, progress, signal, options) {
  progress.say(
    `process ${target.pid} does not answer a signal for heapdump-rs: it is stopped for ${about(stopOutside(target))} ` +
      `(${size(target.memory('VmRSS'))}), copied from outside, and goes on`,
  );
  if (output.wantsImage) return keep(target, output, progress, signal, options);
  const self = new Target(process.pid);
  const free = headroom(self);
  if (free !== undefined && free.available < needed(target, self, free)) {
    throw new OutsideProblem(
      target,
      `V8 needs more memory for its snapshot than is left here (${size(free.available)}): keep an image (--output app.heapimage), ` +
        'and take the snapshot of that elsewhere',
    );
  }
  for (let tries = 1; ; tries++) {
    const run = begin(target, signal, options);
    try {
      const isWhole = await run.begins();
      if (isWhole || tries === MOST_TRIES || !run.mayBeTriedAgain(tries)) {
        const shown = (bytes) => progress.show(`V8 of the copy writes: ${size(bytes)}`);
        const counts = await output.receive(run.snapshot(), shown, signal, null);
        return { ...counts, report: await report(run.tracer) };
      }
      progress.say(again(target, run.why()));
    } finally {
      await run.end();
    }
  }
}

/**
 * The process comes back here, and V8 takes a snapshot in it. Where that happens in a control group that ends as one, and the
 * target is in it, V8 must not run out of memory.
 */
function needed(target, self, { oomGroup }) {
  const own = target.memory('RssAnon');
  return oomGroup && target.read('cgroup') === self.read('cgroup') ? own * (1 + LEAST_TIMES) : own;
}

/** What a moment later may not be so. */
const isPassing = ({ stop }) => stop?.[0] === 'slow' || stop?.[0] === 'awkward';

const again = (target, why) => `the capture of process ${target.pid} came to nothing (${why}); it is captured once more`;

/** One capture, and the process that its copy becomes. */
function begin(target, signal, options) {
  const tracer = start(target, signal, options);
  const restorer = new Restorer(tracer.output, restorerArguments(target, options), signal);
  tracer.output.destroy();
  const name = `the copy of process ${target.pid}`;
  return {
    tracer,
    /** Waits for the first bytes of the snapshot, behind which nothing goes wrong; whether they came. */
    async begins() {
      await Promise.race([once(restorer.output, 'readable'), restorer.ended()]);
      if (restorer.output.readableLength > 0) return true;
      await Promise.all([tracer.ended(), restorer.ended()]);
      return false;
    },
    /** What went wrong is the copy's own, and not the target's, the machine's or the user's. */
    mayBeTriedAgain(tries) {
      const isBroken = restorer.hung || restorer.hasBegun || restorer.stop?.[0] === 'collision';
      return !signal?.aborted && (tracer.stop === undefined ? tries === 1 && restorer.lacks.length === 0 && isBroken : isPassing(tracer));
    },
    why: () => tracer.stop?.[1] ?? (restorer.spun ? 'it came to no end' : restorer.hung ? 'it hung' : (restorer.stop?.[1] ?? 'it ended')),
    async *snapshot() {
      try {
        yield* written(restorer, name, {});
      } catch (error) {
        await tracer.ended();
        if (tracer.stop !== undefined && tracer.stop[0] !== 'output') throw failed(target, tracer);
        throw error instanceof ImageProblem ? error : failure(restorer, await restorer.ended(), name, {});
      }
    },
    async end() {
      restorer.kill();
      await tracer.ended().catch(() => {});
    },
  };
}

function start(target, signal, { maxStop, thread, trustsFilter = false }) {
  const limit = maxStop ?? Math.max(LEAST_STOP_LIMIT, STOP_LIMIT_TIMES * stopOutside(target));
  const which = thread === undefined ? [] : ['--thread', `${thread}`];
  return new Tracer([`${target.pid}`, '--limit', `${limit}`, ...which, ...(trustsFilter ? ['--trust-filter'] : [])], signal);
}

/** Files are those that the process has, in its own file system; root becomes its user. */
function restorerArguments(target, options) {
  const [user, group] = ['Uid', 'Gid'].map((name) => target.status(name).split(/\s+/)[1]);
  const isOthers = process.geteuid() === 0 && user !== '0' && group !== '0';
  return [
    '--stream',
    '--made-here',
    ...(isOthers ? ['--user', `${user}:${group}`] : []),
    ...argumentsOf({ ...options, node: undefined, core: undefined, map: [`/=${target.at('root')}`] }),
  ];
}

/** The image itself, compressed where the name says so. */
async function keep(target, output, progress, signal, options) {
  const isCompressed = /\.zst(?:\.age)?$/.test(output.path);
  if (isCompressed && !zlib.createZstdCompress) throw new Problem('this Node.js cannot write zstd; use a name that ends in .heapimage');
  const tracer = await startToKeep(target, progress, signal, options);
  const image = isCompressed ? tracer.output.pipe(zlib.createZstdCompress()) : tracer.output;
  if (isCompressed) tracer.output.on('error', (error) => image.destroy(error));
  try {
    const counts = await output.receive(whole(image, target, tracer), (bytes) => progress.show(`${size(bytes)} read`), signal, true);
    return { ...counts, report: await report(tracer) };
  } finally {
    tracer.output.destroy();
    await tracer.ended().catch(() => {});
  }
}

/** A tracer whose image comes, or that has said why not. */
async function startToKeep(target, progress, signal, options) {
  for (let tries = 1; ; tries++) {
    const tracer = start(target, signal, options);
    await Promise.race([once(tracer.output, 'readable'), tracer.ended()]);
    if (tracer.output.readableLength > 0 || tries === MOST_TRIES) return tracer;
    await tracer.ended();
    if (!isPassing(tracer) || signal?.aborted) return tracer;
    tracer.output.destroy();
    progress.say(again(target, tracer.stop[1]));
  }
}

/** What comes, to its end; throws where the tracer did not come to its own. */
async function* whole(image, target, tracer) {
  yield* image;
  const { status } = await tracer.ended();
  if (status !== 0) throw failed(target, tracer);
}

function failed(target, { stop: [word, text] = ['ended', 'the tracer was killed'] }) {
  const help = {
    filter: ': run this as root on the machine itself, or in its container, or say that the filter lets it (--trust-filter)',
    fork: ': it may have too many processes (pids.max, ulimit -u), or memory may not be promised (vm.overcommit_memory)',
    slow: ': one of them may be stuck in the kernel; try again',
    late: ': try again when the machine is less busy, or let it be stopped for longer (--max-stop)',
    awkward: ': try again',
  }[word];
  return new OutsideProblem(target, `${withNames(text)}${help ?? ''}`);
}

/** What was done to the process: times in ms, bytes. */
async function report(tracer) {
  await tracer.ended();
  const { facts } = tracer;
  const ms = (name) => (facts[name] === undefined ? null : Number(facts[name]) / 1000);
  return {
    via: 'outside',
    stoppedMs: ms('stopped-us'),
    forkMs: ms('fork-us'),
    copyMs: ms('copy-us'),
    secondStopMs: ms('second-stop-us'),
    bytesRead: Number(facts.pages ?? 0) * 4096,
    threads: Number(facts.threads ?? 0),
    isolates: facts.isolates ? facts.isolates.split(' ').map(Number) : null,
    calls: Number(facts.calls ?? 0),
    node: facts.node || null,
    deadCopyLeft: facts.left !== undefined,
  };
}

/** The same for a person. */
function reported({ stoppedMs, forkMs, secondStopMs, copyMs, bytesRead, threads, deadCopyLeft }) {
  const ms = (value) => `${value >= 10 ? Math.round(value) : value.toFixed(1)} ms`;
  const left = deadCopyLeft ? '; a dead copy is left, which the next capture takes away' : '';
  return (
    `stopped for ${ms(stoppedMs)} (fork ${ms(forkMs)}) and ${ms(secondStopMs)}; ${threads} threads; ` +
    `${size(bytesRead)} read in ${ms(copyMs)}${left}`
  );
}

module.exports = { OutsideProblem, fromOutside, reported };

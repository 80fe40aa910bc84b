'use strict';

// node-snapshot --image: the process that an image is of comes back, in a sandbox, and V8 in it writes the snapshot.

const path = require('node:path');

const { EXIT, Problem, printable, size } = require('./command.js');
const { Restorer } = require('./restorer.js');
const { withImage } = require('./unpacked.js');
const words = require('./image-words.js');

/** The kernel may keep something of its own where the image needs memory; it lies elsewhere each time. */
const MOST_TRIES = 10;

/** Why there is no snapshot of an image. */
class ImageProblem extends Problem {
  constructor(code, text) {
    super(`${text} [${code}]`);
    this.code = code;
  }
}

/**
 * Has `output` filled.
 * @param {string} file the image
 * @param {{node?: string, map?: string[], 'ignore-cpu'?: boolean, identity?: string[]}} options
 * @param {import('./output.js').Output} output
 */
function fromImage(file, options, output, progress, signal) {
  progress.show(`reading ${file}`);
  const how = { directories: [path.dirname(output.path)], identity: options.identity, signal };
  return withImage(file, how, (descriptor) => ofDescriptor(descriptor, file, options, output, progress, signal));
}

/** The same of an image that is open, neither encrypted nor compressed; `file` is what a person calls it. */
async function ofDescriptor(descriptor, file, options, output, progress, signal) {
  const args = argumentsOf(options);
  let restorer = await start(descriptor, args, signal);
  const whereItWaits = async () => {
    progress.say('heapdump-rs: the main thread waits for the thread that ended the process: the snapshot is taken there, and may lack what that one was about to do');
    restorer = await start(descriptor, [...args, '--at-once'], signal);
    return restorer;
  };
  try {
    const onBytes = (bytes) => progress.show(`V8 of the image writes: ${size(bytes)}`);
    // The program in the image is a stranger's: it is to answer with a snapshot alone.
    return await output.receive(written(restorer, file, options, options.core && whereItWaits), onBytes, signal, null);
  } finally {
    restorer.kill();
  }
}

/** A restorer whose image runs, or that has said why not. */
async function start(descriptor, args, signal) {
  for (let tries = 1; ; tries++) {
    const restorer = new Restorer(descriptor, args, signal);
    if ((await restorer.begins()) || restorer.stop?.[0] !== 'collision' || tries === MOST_TRIES) return restorer;
    restorer.output.resume();
  }
}

/**
 * All that the restored process writes; throws where that is not a whole snapshot. `again` gives another restorer where the main thread
 * only waits, as it does for a compiler of V8's that ran out of memory: that thread has ended the process and does not go on.
 */
async function* written(restorer, file, options, again) {
  const end = restorer.ended();
  yield* restorer.output;
  const { status, signal } = await end;
  if (status === 0) return;
  const waits = restorer.hung && !restorer.spun && restorer.hasBegun && !restorer.isTaking;
  if (!waits || !again) throw failure(restorer, { status, signal }, file, options);
  yield* written(await again(), file, options);
}

function failure(restorer, end, file, { node, core }) {
  const [code, text] = words.ending(restorer, end, node, core !== undefined);
  return new ImageProblem(code, `${file}: ${text}`);
}

/** Prints what an image is and needs; the exit code says whether this machine will do. */
async function check(file, options, signal) {
  return withImage(file, { directories: [path.dirname(path.resolve(file))], identity: options.identity, signal }, async (descriptor) => {
    const restorer = new Restorer(descriptor, ['--check', ...argumentsOf(options)], signal);
    restorer.output.resume();
    const end = await restorer.ended();
    if (signal?.aborted) throw new Problem('the time of --timeout is over');
    if (restorer.stop || restorer.isSilent || end.status === null) throw failure(restorer, end, file, options);
    for (const line of words.description(file, restorer.image)) console.log(line);
    if (restorer.lacks.length === 0) {
      console.log('This machine will do.');
      return EXIT.fine;
    }
    console.log('This machine will not do:');
    for (const [word, text] of restorer.lacks) console.log(`  ${words.lacking(word, text, restorer.image, options.node)}`);
    return EXIT.findings;
  });
}

/** `--map OLD=NEW`, in pairs. */
function mapsOf({ map = [] }) {
  return map.map((each) => {
    const [, old, now] = /^([^=]+)=(.+)$/.exec(each) ?? [];
    if (old === undefined) throw new Problem(`--map must be OLD=NEW, not ${printable(each)}`);
    return [old, path.resolve(now)];
  });
}

function argumentsOf(options) {
  const { node, 'ignore-cpu': ignoreCpu } = options;
  const maps = mapsOf(options);
  // This one may be the image's, too.
  const nodes = node === undefined ? [process.execPath] : [path.resolve(node), process.execPath];
  return [
    ...maps.flatMap((pair) => ['--map', pair.join('=')]),
    ...nodes.flatMap((each) => ['--file', each]),
    ...(ignoreCpu ? ['--ignore-cpu'] : []),
    // A core's image is made here, of files that the conversion has opened.
    ...(options.core === undefined ? [] : ['--made-here']),
  ];
}

module.exports = { ImageProblem, argumentsOf, check, failure, fromImage, mapsOf, ofDescriptor, written };

'use strict';

// node-snapshot --core: a core file of a Node.js process becomes a heap image, and that the process, whose V8 writes the snapshot.

const path = require('node:path');

const { Problem, printable } = require('./command.js');
const { PAGE } = require('./cores.js');
const { ImageProblem, mapsOf, ofDescriptor } = require('./from-image.js');
const { filling, withImage } = require('./unpacked.js');

/**
 * Has `output` filled. The image is a file without a name beside it, as is a compressed core, unpacked.
 * @param {string} file the core
 * @param {{node?: string, map?: string[], 'ignore-cpu'?: boolean, identity?: string[]}} options
 * @param {import('./output.js').Output} output
 */
function fromCore(file, options, output, progress, signal) {
  const directory = path.dirname(output.path);
  const maps = mapsOf(options);
  progress.show(`reading ${file}`);
  return withImage(file, { directories: [directory], identity: options.identity, signal }, async (core) => {
    const image = newFile(directory);
    try {
      await convert(file, core, options.node, maps, image, progress, signal);
      // The image names its files as they are here: nothing of it is elsewhere.
      return await ofDescriptor(image.descriptor, file, { ...options, map: [] }, output, progress, signal);
    } finally {
      image.close();
    }
  });
}

async function convert(file, core, node, maps, image, progress, signal) {
  const { addon } = require('../native.js');
  if (addon.imageOfCore === undefined) throw new Problem(`core files are read on Linux; this is ${process.platform}`);
  const program = node === undefined ? undefined : path.resolve(node);
  const { refused, remarks } = await filling(image, signal, () => image.fillFromCore(file, core, program, maps));
  if (refused) throw new ImageProblem('ERR_HEAPDUMP_CORE', `${printable(refused, 4000)}; see ${PAGE}`);
  for (const remark of remarks) progress.say(`heapdump-rs: ${printable(remark)}`);
}

function newFile(directory) {
  const { NewFile } = require('../new-file.js');
  try {
    return new NewFile(path.join(directory, 'core.heapimage'));
  } catch (error) {
    throw new Problem(`cannot write in ${directory}: ${printable(error.message)}`);
  }
}

module.exports = { fromCore };

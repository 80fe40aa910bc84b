'use strict';

// Commands that read snapshots, given an image: it is made a snapshot first.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { EXTENSION, IMAGE_NAME } = require('../extensions.js');
const { Problem, Progress, SIGNALS, printable } = require('./command.js');
const { fromImage } = require('./from-image.js');
const { Output } = require('./output.js');

/** Runs a command with snapshots in the places of images. `identity`: files with the keys of what is encrypted, besides those in `args`. */
async function withSnapshots(args, run, { identity = [] } = {}) {
  const progress = new Progress();
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'heapdump-rs-'));
  process.once('exit', () => fs.rmSync(directory, { recursive: true, force: true }));
  const { options, rest } = ofRestoring(args);
  options.identity.push(...identity);
  const replaced = [];
  try {
    for (const arg of rest) {
      const [, option = '', file] = /^(--[\w-]+=)?(.*)$/s.exec(arg);
      if (!isImage(file)) replaced.push(arg);
      else replaced.push(option + (await snapshotOf(file, path.join(directory, `${replaced.length}`), options, progress)));
    }
  } finally {
    progress.clear();
  }
  // The command is one call: nobody would hear of a signal before it returns.
  for (const signal of SIGNALS) process.removeAllListeners(signal);
  return run(replaced);
}

/** The options of node-snapshot --image, and all arguments but those that no command knows that reads snapshots. */
function ofRestoring(args) {
  const options = { map: [], identity: [] };
  const rest = [];
  for (let at = 0; at < args.length; at++) {
    const [, name, given] = /^--(node|map|ignore-cpu|identity)(?:=(.*))?$/s.exec(args[at]) ?? [];
    if (name === undefined) rest.push(args[at]);
    else if (name === 'ignore-cpu') options[name] = true;
    else {
      const value = given ?? args[++at];
      if (value === undefined) throw new Problem(`--${name} wants a value`);
      if (name === 'node') options.node = value;
      else options[name].push(value);
      // Snapshots may be encrypted too.
      if (name === 'identity') rest.push(`--identity=${value}`);
    }
  }
  return { options, rest };
}

/** Whether an argument is the name of an image. */
const isImage = (arg) => IMAGE_NAME.test(arg) && fs.existsSync(arg);

/** An open file that nothing is left of when the process is killed; its name is for the command alone. */
async function snapshotOf(image, directory, options, progress) {
  progress.say(`heapdump-rs: restoring ${printable(image)}: the program in it runs, shut in`);
  fs.mkdirSync(directory);
  const file = path.join(directory, path.basename(image).replace(IMAGE_NAME, EXTENSION));
  const output = new Output(file, false);
  try {
    await fromImage(image, options, output, progress);
  } finally {
    output.close();
  }
  const opened = fs.openSync(file, 'r');
  fs.unlinkSync(file);
  fs.symlinkSync(`/proc/self/fd/${opened}`, file);
  return file;
}

module.exports = { isImage, withSnapshots };

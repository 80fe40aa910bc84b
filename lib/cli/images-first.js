'use strict';

// Commands that read snapshots, given an image: it is made a snapshot first.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { EXTENSION, IMAGE_NAME } = require('../extensions.js');
const { Progress, SIGNALS } = require('./command.js');
const { fromImage } = require('./from-image.js');
const { Output } = require('./output.js');

/** Runs a command with snapshots in the places of images. */
async function withSnapshots(args, run) {
  const progress = new Progress();
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'heapdump-rs-'));
  process.once('exit', () => fs.rmSync(directory, { recursive: true, force: true }));
  const replaced = [];
  try {
    for (const arg of args) replaced.push(isImage(arg) ? await snapshotOf(arg, path.join(directory, `${replaced.length}`), progress) : arg);
  } finally {
    progress.clear();
  }
  // The command is one call: nobody would hear of a signal before it returns.
  for (const signal of SIGNALS) process.removeAllListeners(signal);
  return run(replaced);
}

/** Whether an argument is the name of an image. */
const isImage = (arg) => IMAGE_NAME.test(arg) && fs.existsSync(arg);

/** An open file that nothing is left of when the process is killed; its name is for the command alone. */
async function snapshotOf(image, directory, progress) {
  fs.mkdirSync(directory);
  const file = path.join(directory, path.basename(image).replace(IMAGE_NAME, EXTENSION));
  const output = new Output(file, false);
  try {
    await fromImage(image, {}, output, progress);
  } finally {
    output.close();
  }
  const opened = fs.openSync(file, 'r');
  fs.unlinkSync(file);
  fs.symlinkSync(`/proc/self/fd/${opened}`, file);
  return file;
}

module.exports = { isImage, withSnapshots };

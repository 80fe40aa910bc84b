'use strict';

// What the commands of this directory have in common: how they run, fail and speak.

const os = require('node:os');
const { parseArgs } = require('node:util');

/** All is well; findings; the arguments, or what they name, cannot be used. As the addon's commands end. */
const EXIT = { fine: 0, findings: 1, error: 2 };

/** Those that end a command. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** What a person can mend: printed without a stack. */
class Problem extends Error {}

/**
 * Runs a command: `{help, options, positionals, isWord, main}`, where `options` are `parseArgs`'s, `positionals` whether there may be
 * other words, `isWord` whether the last is one that looks like an option, and `main(values, words)` resolves with an exit code or nothing.
 */
function run(command, args) {
  return guarded(async () => {
    const { values, positionals } = read(command, args);
    if (values.help) process.stdout.write(command.help);
    else return command.main(values, positionals);
  });
}

/** Runs what resolves with an exit code or nothing: a Problem is printed, and a signal is an end like others. */
async function guarded(body) {
  // Temporary files go in `exit` listeners, which a signal's default would skip.
  for (const signal of SIGNALS) {
    process.once(signal, () => process.exit(128 + os.constants.signals[signal]));
  }
  // A reader that went away (`| head`) has all that it wanted.
  process.stdout.on('error', (error) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(EXIT.fine);
  });
  try {
    process.exitCode = (await body()) ?? EXIT.fine;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    process.stderr.write(`heapdump-rs: ${error.message}\n`);
    process.exitCode = EXIT.error;
  }
}

function read({ options, positionals = false, isWord }, args) {
  if (isWord?.(args.at(-1)) && !args.includes('--')) args = [...args.slice(0, -1), '--', args.at(-1)];
  try {
    return parseArgs({ args, options: { ...options, help: { type: 'boolean', short: 'h' } }, allowPositionals: positionals });
  } catch (error) {
    throw new Problem(`${error.message.split('. To specify', 1)[0]}; --help shows what there is`);
  }
}

/** A positive whole number of an option. */
function wholeNumber(name, text) {
  if (!/^[1-9]\d{0,9}$/.test(text))
    throw new Problem(`--${name} must be a whole number above 0, not ${printable(text)}`);
  return Number(text);
}

/** "1.2 GB" as DevTools counts: 1 kB is 1000 bytes. */
function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  for (; bytes >= 999.95 && unit < units.length - 1; unit++) bytes /= 1000;
  return `${unit === 0 ? bytes : bytes.toFixed(1)} ${units[unit]}`;
}

/** What others wrote, harmless on a terminal and not endless. */
function printable(text, limit = 300) {
  const harmless = String(text).replace(/[^\P{C}]/gu, (character) => `\\u{${character.codePointAt(0).toString(16)}}`);
  return harmless.length > limit ? `${harmless.slice(0, limit)}…` : harmless;
}

/** A line on standard error that is written over while a terminal is there; otherwise nothing but `say`. */
class Progress {
  #shown = '';
  #last = -Infinity;
  #terminal = Boolean(process.stderr.isTTY);

  /** Where it is, at most ten times a second, and not twice the same. */
  show(text) {
    if (!this.#terminal || text === this.#shown || performance.now() - this.#last < 100) return;
    this.#last = performance.now();
    this.#shown = text;
    process.stderr.write(`\r\x1b[K${text}`);
  }

  /** A line that stays. */
  say(text) {
    this.clear();
    process.stderr.write(`${text}\n`);
  }

  clear() {
    if (this.#shown) process.stderr.write('\r\x1b[K');
    this.#shown = '';
  }
}

module.exports = { EXIT, Problem, Progress, SIGNALS, guarded, printable, run, size, wholeNumber };

'use strict';

// What a process was told on its command line and in NODE_OPTIONS, as Node.js reads it (node_options-inl.h, node.cc).

const path = require('node:path');

/**
 * Whether /proc/PID/cmdline is what the process was started with. `process.title = …` writes over it: libuv puts one text
 * there and zeroes behind it, so that a second word is a proof. One word alone is not: it must be the executable's name.
 * @param {string} text of /proc/PID/cmdline
 * @param {string} executable
 */
function isAsStarted(text, executable) {
  const [first, ...others] = text.split('\0').slice(0, -1);
  if (others.some(Boolean)) return true;
  return others.length === 0 && first !== undefined && path.basename(first) === path.basename(executable);
}

/**
 * The words that may be options for Node.js: all before `--`, and before a word that is neither an option nor can be the value
 * of one. Which options take the next word differs between versions: there may be a word too many, and never one too few.
 * @param {string[]} words without the executable
 */
function mayBeOptions(words) {
  let end = 0;
  for (let takesNext = false; end < words.length; end++) {
    const word = words[end];
    if (word === '--' || word === '-' || (!isOption(word) && !takesNext)) break;
    takesNext = isOption(word) && !(word.startsWith('--') && word.includes('='));
  }
  return words.slice(0, end);
}

/** NODE_OPTIONS in words: double quotes hold spaces, and in them a backslash takes the next character as it is. */
function splitNodeOptions(text) {
  const words = [];
  let quoted = false;
  let fresh = true;
  for (let i = 0; i < text.length; i++) {
    let character = text[i];
    if (character === '"') {
      quoted = !quoted;
      continue;
    }
    if (character === ' ' && !quoted) {
      fresh = true;
      continue;
    }
    if (character === '\\' && quoted) character = text[++i] ?? '';
    if (fresh) words.push('');
    fresh = false;
    words[words.length - 1] += character;
  }
  return words;
}

/** `[name, value]` of each option; the value is what follows `=`, otherwise `next`, the word behind it, may be it. */
function* read(options) {
  for (const [i, word] of options.entries()) {
    if (!isOption(word)) continue;
    const [, name, value] = /^([^=]*)(?:=(.*))?$/s.exec(word);
    yield { name: `--${name.slice(2).replaceAll('_', '-')}`, value, next: options[i + 1] };
  }
}

/** V8's limit for its heap where it was stated, in bytes; the last word counts. */
function statedHeapLimit(options) {
  let limit;
  for (const { name, value } of read(options)) {
    if (/^--max-(old-space|heap)-size$/.test(name) && /^[1-9]\d{0,8}$/.test(value ?? '')) limit = Number(value) * 1024 * 1024;
  }
  return limit;
}

/** Options that people use which take the next word. Which word is the script is only shown; nothing else depends on it. */
const TAKE_NEXT = new Set(
  (
    '-r --require --import --loader --experimental-loader -C --conditions --env-file --env-file-if-exists --title ' +
    '--inspect-port --debug-port --watch-path --diagnostic-dir --disable-warning --unhandled-rejections --input-type ' +
    '--heapsnapshot-signal --heapsnapshot-near-heap-limit --stack-trace-limit --icu-data-dir --test-reporter ' +
    '--test-reporter-destination --test-name-pattern --experimental-config-file'
  ).split(' '),
);

/** The script and its arguments, as a person would recognise it. */
function scriptOf(words) {
  let at = 0;
  while (at < words.length && isOption(words[at])) {
    if (words[at] === '--') return words.slice(at + 1);
    if (/^(-e|-p|-pe|--eval|--print)$/.test(words[at])) return words.slice(at);
    at += TAKE_NEXT.has(words[at]) ? 2 : 1;
  }
  return words.slice(at);
}

const isOption = (word) => word.length > 1 && word.startsWith('-');

module.exports = { isAsStarted, mayBeOptions, read, scriptOf, splitNodeOptions, statedHeapLimit };

'use strict';

// Where the inspector of a process opens when SIGUSR1 asks for it. Whoever reaches it runs code in that process: its host is
// known for certain before the signal is sent, or the signal is not sent.

const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');

const { printable } = require('./command.js');
const { mayBeOptions, read, splitNodeOptions } = require('./command-line.js');
const { isNode, isSingleApplication } = require('./executable.js');

const DEFAULT_PORT = 9229;
/** The kernel's clocks tick every 10 ms at the slowest: the start of a process and the change of a file are told so exactly. */
const CLOCK_MS = 20;

/**
 * @typedef {object} Told
 * @property {number[]} ports that it was told
 * @property {string} [host] not of this machine alone, with `where` it was said
 * @property {string} [where]
 * @property {string} [doubt] why more may have been said than is seen
 */

/**
 * What a process was told of its inspector. Node.js keeps a host until another one is named, and each of its sources may name
 * one: one that is not loopback is enough. (`process.debugPort` and a node.config.json can name a port alone.)
 * @param {import('./processes.js').Target} target
 * @returns {Told}
 */
function inspectorPort(target) {
  const told = { ports: [], doubt: doubtOf(target) };
  const words = target.commandLine().slice(1);
  const sources = [
    ['its command line', mayBeOptions(words)],
    ['its NODE_OPTIONS', splitNodeOptions(target.variable('NODE_OPTIONS') ?? '')],
  ];
  // Node.js looks for that option among all words, the application's included (node_dotenv.cc).
  for (const file of environmentFiles(words)) {
    const { text, doubt } = readAsStarted(target, file);
    told.doubt ??= doubt;
    if (text !== undefined) sources.push([printable(file.name), optionsIn(text)]);
  }
  for (const [where, options] of sources) {
    for (const { name, value, next } of read(options)) {
      if (!/^--(inspect|debug-port)/.test(name) || name === '--inspect-publish-uid') continue;
      const { host, port } = splitHostPort(value ?? (/-port$/.test(name) ? (next ?? '') : ''));
      if (port !== undefined) told.ports.push(port);
      if (host !== '' && !isLoopback(host)) Object.assign(told, { host, where });
    }
  }
  if (told.ports.length === 0) told.ports.push(DEFAULT_PORT);
  return told;
}

/** Why the words that are seen may not be all. */
function doubtOf(target) {
  const file = target.at('exe');
  if (!isNode(file)) return 'its executable is not Node.js and may set the address by itself';
  if (isSingleApplication(file)) return 'it is a single-executable application, which may have options for Node.js in itself';
  if (!target.hasItsCommandLine()) return 'its command line was overwritten (process.title)';
  return undefined;
}

function environmentFiles(words) {
  return words.flatMap((word, i) => {
    if (!word.startsWith('--env-file')) return [];
    const name = word.includes('=') ? word.slice(word.indexOf('=') + 1) : words[i + 1];
    return name ? [{ name, optional: word.startsWith('--env-file-if-exists') }] : [];
  });
}

/** A file that the process read when it started, if it still is what it was then. */
function readAsStarted(target, { name, optional }) {
  const shown = `its ${printable(name)} (--env-file)`;
  const started = target.startedAt() + CLOCK_MS;
  // The directory that it was started in: that of now, unless it has gone elsewhere.
  const directories = [fs.readlinkSync(target.at('cwd')), target.variable('PWD')].filter((at) => at?.startsWith('/'));
  const texts = [];
  let absent = optional;
  for (const file of new Set(directories.map((at) => path.resolve(at, name)))) {
    try {
      const at = target.file(file);
      texts.push(fs.readFileSync(at, 'utf8'));
      if (changedAt(at) > started) return { doubt: `${shown} was changed after it started` };
    } catch (error) {
      if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') return { doubt: `${shown} cannot be read` };
      // A file that is gone has changed its directory.
      if (changedAt(target.file(path.dirname(file))) > started) absent = false;
    }
  }
  return texts.length > 0 || absent ? { text: texts.join('\n') } : { doubt: `${shown} is not there now` };
}

/** Of a file and, where that is a link, of the link. */
const changedAt = (file) =>
  Math.max(...[fs.statSync, fs.lstatSync].map((look) => look(file, { throwIfNoEntry: false })?.ctimeMs ?? Infinity));

/**
 * The words of an environment's file that may become options. How it is quoted is left aside: what looks like an option anywhere
 * in a file that sets NODE_OPTIONS is taken for one.
 */
function optionsIn(text) {
  return text.includes('NODE_OPTIONS') ? text.replace(/["'`\\]/g, '').replaceAll('NODE_OPTIONS=', ' ').split(/\s+/) : [];
}

/** `[host:]port`, or a host alone, as Node.js reads it (`SplitHostPort` of node_options.cc); an empty host changes nothing. */
function splitHostPort(text) {
  const withoutBrackets = /^\[(.*)\]$/s.exec(text)?.[1];
  if (withoutBrackets !== undefined) return { host: withoutBrackets };
  const colon = text.lastIndexOf(':');
  if (colon < 0) return /^\d+$/.test(text) ? { host: '', port: Number(text) } : { host: text };
  return { host: text.slice(0, colon).replace(/^\[(.*)\]$/s, '$1'), port: Number(text.slice(colon + 1)) };
}

const loopback = new net.BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether an address is of this machine alone. */
function isLoopback(host) {
  if (host === 'localhost') return true;
  const family = net.isIP(host);
  return family !== 0 && loopback.check(host, `ipv${family}`);
}

module.exports = { inspectorPort, isLoopback };

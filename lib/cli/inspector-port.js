'use strict';

// Where the inspector of a process opens when SIGUSR1 asks for it. Whoever reaches it runs code in that process: its host is
// known for certain before the signal is sent, or the signal is not sent.

const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');

const { printable } = require('./command.js');
const { mayBeOptions, read, splitNodeOptions } = require('./command-line.js');
const { isNode, isSingleApplication } = require('./executable.js');
const { Inside, identityOf } = require('./inside.js');

const DEFAULT_PORT = 9229;
/** The kernel's clocks tick every 10 ms at the slowest: the start of a process and the change of a file are told so exactly. */
const CLOCK_MS = 20;
/** As many links as Linux follows (path_resolution(7)). */
const MOST_LINKS = 40;
/** Of a file of --env-file. */
const MOST_BYTES = 1 << 20;

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
  const inside = new Inside(target.pid);
  try {
    const directory = name.startsWith('/') ? '' : startDirectory(target, inside);
    const { at, found, changed } = follow(target, `${directory ?? fs.readlinkSync(target.at('cwd'))}/${name}`);
    if (found === undefined && (!optional || changed > started)) return { doubt: `${shown} is not there now` };
    if (changed > started) return { doubt: `${shown} was changed after it started` };
    const text = found && readSmall(inside, at, found);
    if (directory !== undefined) return { text };
    return { text, doubt: `${shown} may not be the one that it read: its PWD is not the directory that it is in` };
  } catch {
    return { doubt: `${shown} cannot be read` };
  } finally {
    inside.close();
  }
}

/** Where it was started: its PWD, if it still is there. Who starts a process may have left that as it was. */
function startDirectory(target, inside) {
  const directory = target.variable('PWD');
  const now = identityOf(fs.statSync(target.at('cwd'), { bigint: true }));
  return directory?.startsWith('/') && inside.identify(`${directory}/.`) === now ? directory : undefined;
}

/**
 * Where a path leads in the process' own root directory: an absolute link in a container would lead us into ours.
 * @returns what is `found` there, and when that or a link on the way `changed`; where nothing is, when the directory did
 */
function follow(target, file) {
  const names = file.split('/');
  let at = '/';
  let found = fs.lstatSync(target.file(at));
  let changed = 0;
  for (let links = 0; names.length > 0;) {
    const name = names.shift();
    if (name === '' || name === '.') continue;
    const next = path.join(at, name);
    // What stands there is not the same for each who looks: /dev/fd/3, for instance.
    if (next === '/proc') throw new Error('/proc');
    const above = found;
    found = fs.lstatSync(target.file(next), { throwIfNoEntry: false });
    if (found === undefined) return { changed: Math.max(changed, above.ctimeMs) };
    if (!found.isSymbolicLink()) {
      at = next;
      continue;
    }
    if (++links > MOST_LINKS) throw new Error('too many links');
    changed = Math.max(changed, found.ctimeMs);
    const to = fs.readlinkSync(target.file(next));
    if (to.startsWith('/')) at = '/';
    found = fs.lstatSync(target.file(at));
    names.unshift(...to.split('/'));
  }
  return { at, found, changed: Math.max(changed, found.ctimeMs) };
}

/** A regular file alone is opened: a pipe would hold us up, and what a device does when root opens it is not known. */
function readSmall(inside, file, expected) {
  if (!expected.isFile()) throw new Error('no file');
  const isExpected = ({ dev, ino }) => Number(dev) === expected.dev && Number(ino) === expected.ino;
  const fd = inside.open(file, isExpected);
  if (fd === undefined) throw new Error('another file');
  try {
    const bytes = Buffer.allocUnsafe(MOST_BYTES + 1);
    let length = 0;
    for (let read; (read = fs.readSync(fd, bytes, length, bytes.length - length, length)) > 0;) length += read;
    if (length > MOST_BYTES) throw new Error('too large');
    return bytes.toString('utf8', 0, length);
  } finally {
    fs.closeSync(fd);
  }
}

/**
 * The words of an environment's file that may become options. How it is quoted and what they are assigned to is left aside:
 * what looks like an option for the inspector anywhere in a file that sets NODE_OPTIONS is taken for one.
 */
function optionsIn(text) {
  if (!text.includes('NODE_OPTIONS')) return [];
  return text
    .replace(/["'`\\]/g, '')
    .replace(/--(inspect|debug)/g, ' $&')
    .split(/\s+/);
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

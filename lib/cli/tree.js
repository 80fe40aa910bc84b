'use strict';

// The Node.js processes of this machine that may be looked at, and who started whom.

const fs = require('node:fs');
const path = require('node:path');

const { Target } = require('./processes.js');

/** A child that takes a snapshot goes by that name (src/process/linux/child.rs): it is no process of its own. */
const SNAPSHOT_CHILD = 'heapdump';

/** /proc as it was at one moment. */
class Tree {
  /** Node.js processes by pid: `{target, pid, above}`, where `above` is the pid of the nearest Node.js process above it. */
  nodes = new Map();
  /** How many look like Node.js by their name and belong to others. */
  hidden = 0;
  #parents = new Map();

  constructor() {
    const candidates = [];
    for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number)) {
      const target = tryOrNothing(() => this.#look(pid));
      if (target !== undefined) candidates.push(target);
    }
    for (const target of candidates.sort((a, b) => a.pid - b.pid)) this.nodes.set(target.pid, { target, pid: target.pid });
    for (const node of this.nodes.values()) node.above = this.#above(node.pid).find((pid) => this.nodes.has(pid));
  }

  /** A Node.js process to look at, or nothing; the one that asks is nobody's. */
  #look(pid) {
    const text = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, parent] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    this.#parents.set(pid, Number(parent));
    const name = text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'));
    if (state === 'Z' || state === 'X' || name === SNAPSHOT_CHILD || pid === process.pid) return undefined;
    try {
      fs.readlinkSync(`/proc/${pid}/exe`);
    } catch (error) {
      if (error.code === 'EACCES' && looksLikeNode(pid)) this.hidden++;
      return undefined; // Of the kernel, or not ours to see.
    }
    const target = new Target(pid);
    return target.isNode() ? target : undefined;
  }

  /** All processes above one, the nearest first. */
  #above(pid) {
    const found = [];
    for (let now = this.#parents.get(pid); now > 0 && !found.includes(now); now = this.#parents.get(now)) found.push(now);
    return found;
  }

  /** The Node.js processes that a process, whatever it is, has started, directly or not. */
  below(pid) {
    return [...this.nodes.values()].filter((node) => this.#above(node.pid).includes(pid));
  }

  /** `[node, depth]` of each, children behind their parent. */
  *byDescent(above = undefined, depth = 0) {
    for (const node of this.nodes.values()) {
      if (node.above !== above) continue;
      yield [node, depth];
      yield* this.byDescent(node.pid, depth + 1);
    }
  }
}

const looksLikeNode = (pid) =>
  /^node(js)?$/.test(path.basename(fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0]));

/** Node.js says so to a worker in the environment that it is started with (lib/internal/cluster/primary.js). */
const isClusterWorker = (target) => target.variable('NODE_UNIQUE_ID') !== undefined;

/** The same of the process that `node --watch` runs (lib/internal/main/watch_mode.js). */
const isWatched = (target) => target.variable('WATCH_REPORT_DEPENDENCIES') !== undefined;

/** A process may end while it is looked at. */
function tryOrNothing(look) {
  try {
    return look();
  } catch {
    return undefined;
  }
}

module.exports = { Tree, isClusterWorker, isWatched, tryOrNothing };

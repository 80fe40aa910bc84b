'use strict';

// Which process is meant by a pid: its own, or one of those that it has started (npm, a shell, `node --watch`, nodemon,
// a cluster's primary). It is decided by what the processes are seen to do, not by what they are called.

const { Problem, printable, size } = require('./command.js');
const { describe } = require('./describe.js');
const { Tree, isClusterWorker, isWatched, tryOrNothing } = require('./tree.js');

/**
 * The process to ask. One that has no Node.js process below it is meant itself. Of several it is the one that has loaded
 * the package; where more have, the one that listens. Otherwise a Problem says what there is.
 * @param {import('./processes.js').Target} target
 * @param {(text: string) => void} say
 */
function meant(target, say) {
  const tree = new Tree();
  const all = family(tree, target.pid);
  if (all.every(({ pid }) => pid === target.pid)) return target;
  const one = choose(tree, all);
  if (one === undefined) throw new Problem(question(target, all));
  if (one.pid === target.pid) return target;
  const [taken, asked] = [one.target.describe(), target.describe()];
  say(`process ${taken} is taken: of the Node.js processes that ${asked} has started, it is the one with heapdump-rs`);
  return one.target;
}

/** A process, if it is Node.js, and the Node.js processes below it. */
function family(tree, pid) {
  const own = tree.nodes.get(pid);
  return own === undefined ? tree.below(pid) : [own, ...tree.below(pid)];
}

function choose(tree, all) {
  const loaded = all.filter((node) => node.target.hasLoadedPackage() && !handsOn(tree, node));
  if (loaded.length < 2) return loaded[0];
  // An application and its helpers; what starts applications does not listen.
  const serving = loaded.filter((node) => node.target.listeners().length > 0);
  return serving.find((node) => serving.every((other) => other === node || tree.below(node.pid).includes(other)));
}

/** Whether its work is done by its children: it is a cluster's primary, or `node --watch`. */
function handsOn(tree, node) {
  const children = [...tree.nodes.values()].filter(({ above }) => above === node.pid).map(({ target }) => target);
  // The environment of what is watched goes on to its children.
  return children.some((child) => isClusterWorker(child) || (isWatched(child) && !isWatched(node.target)));
}

function question(target, all) {
  const lines = all.flatMap((node) => {
    const found = tryOrNothing(() => describe(node));
    if (found === undefined) return [];
    const { pid, script, rss, answers, via } = found;
    const exactly = all.some(({ above }) => above === pid) ? ' --exactly' : '';
    const how = via === 'signal' ? `answers ${answers}` : via === 'outside' ? 'from outside' : 'its inspector would stop it';
    return [choice(`--pid ${pid}${exactly}`, `${printable(script, 80)} (${size(rss)}, ${how})`)];
  });
  const asks = `process ${target.describe()} has started Node.js processes; which one is meant?`;
  return [asks, ...lines, choice(`--all ${target.pid}`, 'one of each')].join('\n');
}

const choice = (words, what) => `  ${words.padEnd(24)}  ${what}`;

module.exports = { family, meant };

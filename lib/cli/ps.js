'use strict';

// npx heapdump-rs ps: the Node.js processes of this machine, and how each would be asked for a snapshot.

const { Problem, printable, size } = require('./command.js');
const { describe } = require('./describe.js');
const { Tree, tryOrNothing } = require('./tree.js');

const help = `Lists the Node.js processes that you may look at (Linux)

Usage: heapdump-rs ps [--tree] [--json]

Options:
  --tree      Under each process those that it has started
  --json      The same in JSON
  -h, --help  Print help

Columns:
  LIMIT    V8's limit for its heap, where the process says it (it has loaded heapdump-rs) or was told it; otherwise –
  PACKAGE  The signal by which heapdump-rs answers there; "loaded" if by none; – where it is not loaded
  VIA      How node-snapshot --pid takes one: by that signal, or from outside, which stops it for milliseconds; "inspector"
           where only that is open, for seconds and by --via inspector alone

Exit codes: 0, and 2 where there is no /proc
`;

const options = { tree: { type: 'boolean' }, json: { type: 'boolean' } };

function main({ tree: asTree, json }) {
  if (process.platform !== 'linux') throw new Problem('ps needs /proc, which Linux alone has');
  const tree = new Tree();
  const nodes = asTree ? [...tree.byDescent()] : [...tree.nodes.values()].map((node) => [node, 0]);
  const rows = nodes.flatMap(([node, depth]) => {
    const found = tryOrNothing(() => describe(node));
    return found === undefined ? [] : [{ ...found, depth }];
  });
  if (json) {
    const processes = rows.map(({ depth, ...row }) => row);
    console.log(JSON.stringify({ schemaVersion: 1, command: 'ps', processes, hidden: tree.hidden }, undefined, 2));
    return;
  }
  for (const line of table(rows)) console.log(line);
  if (tree.hidden > 0) process.stderr.write(`${tree.hidden} more belong to other users; ask as root to see them\n`);
}

function table(rows) {
  const cells = rows.map(({ pid, parent, user, container, depth, script, rss, heapLimit, loaded, answers, via }) => [
    `${pid}`,
    `${parent}`,
    printable(user, 20),
    container ?? '–',
    size(rss),
    heapLimit === null ? '–' : size(heapLimit),
    answers ?? (loaded ? 'loaded' : '–'),
    via,
    `${depth > 0 ? `${'   '.repeat(depth - 1)}└─ ` : ''}${printable(script || '–', 100)}`,
  ]);
  const all = [['PID', 'PARENT', 'USER', 'CONTAINER', 'RSS', 'LIMIT', 'PACKAGE', 'VIA', 'SCRIPT'], ...cells];
  const widths = all[0].map((_, column) => Math.max(...all.map((row) => row[column].length)));
  const last = widths.length - 1;
  const shown = (cell, i) => {
    if (i === last) return cell;
    return [0, 1, 4, 5].includes(i) ? cell.padStart(widths[i]) : cell.padEnd(widths[i]);
  };
  return all.map((row) => row.map(shown).join('  '));
}

module.exports = { help, main, options };

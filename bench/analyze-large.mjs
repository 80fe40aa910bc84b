// Files larger than a test can carry: makes them, asks the commands, compares the answers with what is known of such a
// file, deletes them: `node bench/analyze-large.mjs DIRECTORY [CASE...]`. It takes 7 GB of disk and as much memory.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const binary = path.join(path.resolve(root, process.env.CARGO_TARGET_DIR ?? 'target'), 'release/heapdump-rs');

// Sessions, and how long each one's name is. The names are nearly all of the string table.
const CASES = {
  'strings over 512 MB': { sessions: 600_000, nameLength: 1000 },
  'strings over 4 GiB': { sessions: 4_500_000, nameLength: 1000 },
  'a file of 4.5 GB': { sessions: 17_200_000, nameLength: 16 },
};
const WORDS = [
  '', 'global', 'sessions', 'buffer', 'Session', 'User', 'list', 'user', 'list', 'name', 'next', 'self', 'a', 'b', 'c',
];
const FIELDS = 7;
const NODES_BEFORE = 4;
const SIZES = { root: 0, global: 400, sessions: 64, buffer: 6_000_000_000, session: 56, user: 32, list: 80, name: 24 };
const A_SESSION = SIZES.session + SIZES.user + SIZES.list + SIZES.name;

const [directory, ...chosen] = process.argv.slice(2);
if (!directory || chosen.some((name) => !CASES[name])) {
  const names = Object.keys(CASES).map((name) => `'${name}'`).join(' ');
  process.stderr.write(`usage: node bench/analyze-large.mjs DIRECTORY [CASE...]\ncases: ${names}\n`);
  process.exit(2);
}
let wrong = 0;
process.stdout.write('| file | MB | command | user CPU s | wall s | peak RSS MB |\n|---|---|---|---|---|---|\n');
for (const name of chosen.length ? chosen : Object.keys(CASES)) {
  const file = path.join(directory, `analyze-large-${process.pid}.heapsnapshot`);
  try {
    write(file, CASES[name]);
    check(name, file, CASES[name]);
  } finally {
    fs.rmSync(file, { force: true });
  }
}
process.exit(wrong ? 1 : 0);

function check(name, file, { sessions, nameLength }) {
  const megabytes = (fs.statSync(file).size / 1e6).toFixed(0);
  const ask = (command, ...args) => {
    const format = ['-f', 'figures %U %e %M', binary, command, file, '--json', ...args];
    const result = spawnSync('/usr/bin/time', format, { encoding: 'utf8', maxBuffer: 1 << 28 });
    const figures = /figures ([\d.]+) ([\d.]+) (\d+)/.exec(result.stderr);
    if (result.status !== 0 || !figures) throw new Error(`${name}: ${command}: ${result.stderr}`);
    const [, user, wall, kilobytes] = figures;
    process.stdout.write(`| ${name} | ${megabytes} | ${command} | ${user} | ${wall} | ${(kilobytes / 1000).toFixed(0)} |\n`);
    return JSON.parse(result.stdout);
  };
  const total = SIZES.global + SIZES.sessions + SIZES.buffer + sessions * A_SESSION;
  const summary = ask('summary', '--limit', '0');
  equal(`${name}: total`, summary.totalSize, total);
  equal(`${name}: nodes`, summary.nodes, NODES_BEFORE + 4 * sessions);
  equal(`${name}: edges`, summary.edges, 3 + 10 * sessions);
  const classes = new Map(summary.classes.map((row) => [row.name, row]));
  // An array that only one object holds counts as part of it.
  const session = SIZES.session + SIZES.list;
  equal(`${name}: Session`, pick(classes.get('Session')), [sessions, sessions * session, sessions * A_SESSION]);
  equal(`${name}: User`, pick(classes.get('User')), [sessions, sessions * SIZES.user, sessions * SIZES.user]);
  equal(`${name}: (string)`, pick(classes.get('(string)')), [sessions, sessions * SIZES.name, sessions * SIZES.name]);
  // The last name lies at the end of the table, where an offset of 32 bits would be wrong.
  const last = nodeId(NODES_BEFORE + 4 * sessions - 1);
  const object = ask('inspect-object', '--object-id', `@${last}`);
  equal(`${name}: the last name`, object.object.name, nameOf(sessions - 1, nameLength));
  equal(`${name}: its dominator`, object.dominator.id, nodeId(NODES_BEFORE + 4 * (sessions - 1)));
  equal(`${name}: its retainers`, object.retainers.map((edge) => edge.object.class).sort(), ['Session', 'User']);
}

function equal(what, found, expected) {
  if (JSON.stringify(found) === JSON.stringify(expected)) return;
  wrong++;
  process.stdout.write(`wrong: ${what}: ${JSON.stringify(found)}, not ${JSON.stringify(expected)}\n`);
}

function pick(row) {
  return row && [row.count, row.shallowSize, row.retainedSize];
}

function nodeId(ordinal) {
  return 2 * ordinal + 1;
}

function nameOf(session, length) {
  return `session-${session}`.padEnd(length, '.');
}

// Sessions in an array, each with a user, a list and a name, in a ring besides; a buffer of 6 GB.
function write(file, { sessions, nameLength }) {
  const out = fs.openSync(file, 'w');
  let text = '';
  const put = (piece) => {
    text += piece;
    if (text.length > 1 << 20) flush();
  };
  const flush = () => {
    fs.writeSync(out, text);
    text = '';
  };
  const node = (type, name, ordinal, size, edges) => `${type},${name},${nodeId(ordinal)},${size},${edges},0,0`;
  const to = (ordinal) => ordinal * FIELDS;
  const meta = {
    node_fields: ['type', 'name', 'id', 'self_size', 'edge_count', 'trace_node_id', 'detachedness'],
    node_types: [['hidden', 'array', 'string', 'object', 'code', 'closure', 'regexp', 'number', 'native', 'synthetic'],
      'string', 'number', 'number', 'number', 'number', 'number'],
    edge_fields: ['type', 'name_or_index', 'to_node'],
    edge_types: [['context', 'element', 'property', 'internal', 'hidden', 'shortcut', 'weak'], 'string_or_number', 'node'],
    location_fields: ['object_index', 'script_id', 'line', 'column'],
  };
  const counts = { node_count: NODES_BEFORE + 4 * sessions, edge_count: 3 + 10 * sessions, trace_function_count: 0 };
  put(`{"snapshot":{"meta":${JSON.stringify(meta)},${JSON.stringify(counts).slice(1)},\n"nodes":[`);
  put(node(9, 0, 0, SIZES.root, 1));
  put(`,${node(3, 1, 1, SIZES.global, 2)}`);
  put(`,${node(3, 2, 2, SIZES.sessions, sessions)}`);
  put(`,${node(8, 3, 3, SIZES.buffer, 0)}`);
  for (let i = 0; i < sessions; i++) {
    const at = NODES_BEFORE + 4 * i;
    put(`,${node(3, 4, at, SIZES.session, 4)},${node(3, 5, at + 1, SIZES.user, 2)},` +
      `${node(1, 6, at + 2, SIZES.list, 3)},${node(2, WORDS.length + i, at + 3, SIZES.name, 0)}`);
  }
  put(`],\n"edges":[1,1,${to(1)},2,2,${to(2)},2,3,${to(3)}`);
  for (let i = 0; i < sessions; i++) put(`,1,${i},${to(NODES_BEFORE + 4 * i)}`);
  for (let i = 0; i < sessions; i++) {
    const at = NODES_BEFORE + 4 * i;
    const next = to(NODES_BEFORE + 4 * ((i + 1) % sessions));
    put(`,2,7,${to(at + 1)},2,8,${to(at + 2)},2,9,${to(at + 3)},2,10,${next},2,9,${to(at + 3)},2,11,${to(at)},` +
      `3,12,${to(at)},3,13,${to(at + 1)},3,14,${next}`);
  }
  put(`],\n"trace_function_infos":[],"trace_tree":[],"samples":[],"locations":[],\n"strings":[`);
  put(JSON.stringify(WORDS).slice(1, -1));
  for (let i = 0; i < sessions; i++) put(`,\n"${nameOf(i, nameLength)}"`);
  put(']}\n');
  flush();
  fs.closeSync(out);
}

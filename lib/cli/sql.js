'use strict';

// npx heapdump-rs sql: a question in SQL about snapshots, answered by DuckDB where that is installed.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const { createRequire } = require('node:module');
const os = require('node:os');
const path = require('node:path');

const { Problem, Progress, printable } = require('./command.js');

const DUCKDB = '@duckdb/node-api';
const TABLES = ['nodes', 'edges', 'strings', 'classes', 'suspects'];
const BIN = path.join(__dirname, '../../bin/heapdump-rs.js');
/** A cell of a table for people. */
const LONGEST = 80;

const help = `Answers a question in SQL about snapshots, by DuckDB (npm install ${DUCKDB})

Usage: heapdump-rs sql [--json] [--identity FILE]... FILE... QUERY

Arguments:
  FILE   A snapshot, or a directory that \`export --format parquet\` has written
  QUERY  About the tables ${TABLES.join(', ')}; each has the column \`snapshot\`

Options:
  --json           The rows in JSON
  --identity FILE  Reads encrypted snapshots (.age) with the identities of this file; may be given again. Their tables are on the disk
                   while it answers
  -h, --help       Print help

docs/sql.md of the repository has the columns and 15 questions.

Example:
  heapdump-rs sql app.heapsnapshot 'select class, count(*), sum(shallow_size) from nodes group by 1 order by 3 desc limit 10'

Exit codes: 0 answered, 2 not
`;

const options = { json: { type: 'boolean' }, identity: { type: 'string', multiple: true } };

async function main({ json, identity = [] }, words) {
  const files = words.slice(0, -1);
  const query = words.at(-1);
  if (files.length === 0) throw new Problem('sql wants files and, last, a query: heapdump-rs sql app.heapsnapshot "select …"');
  const { DuckDBInstance } = duckdb();
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'heapdump-rs-'));
  process.once('exit', () => fs.rmSync(directory, { recursive: true, force: true }));
  const wanted = TABLES.filter((table) => new RegExp(`\\b${table}\\b`, 'i').test(query));
  const roots = files.map((file, index) => tablesOf(file, path.join(directory, `${index}`), wanted, identity));
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  try {
    // Otherwise DuckDB spills heap texts into `.tmp` of the current directory.
    await connection.run(`set temp_directory = ${quoted(directory)}`);
    for (const table of wanted) await createView(connection, table, roots);
    write(await connection.runAndReadAll(query), json);
  } catch (error) {
    throw new Problem(printable(error.message, 2000));
  } finally {
    connection.closeSync();
  }
}

/** Beside this package, beside where the command runs. */
function duckdb() {
  for (const from of [__filename, path.join(process.cwd(), 'sql.js')]) {
    try {
      return createRequire(from)(DUCKDB);
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  const other = 'npx heapdump-rs export FILE --format parquet --output DIR writes the same tables for any other engine';
  throw new Problem(`sql needs DuckDB: npm install ${DUCKDB}; ${other}`);
}

/** The directory with a file's tables. */
function tablesOf(file, directory, wanted, identity) {
  if (fs.statSync(file, { throwIfNoEntry: false })?.isDirectory()) return file;
  const progress = new Progress();
  progress.show(`reading ${printable(file)}`);
  const tables = (wanted.length > 0 ? wanted : ['classes']).flatMap((table) => ['--table', table]);
  const args = [BIN, 'export', ...identity.map((each) => `--identity=${each}`), '--format', 'parquet', '--output', directory, ...tables, '--', file];
  const { status } = spawnSync(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  progress.clear();
  if (status !== 0) throw new Problem(`${printable(file)} was not read`);
  return directory;
}

/**
 * One branch for each file, with the name of its snapshot as a constant. Of Parquet's column DuckDB thinks that each value is
 * another one; it then joins `nodes` with `nodes` by `snapshot` alone before it joins `edges`: 15 GB for two snapshots of 5 MB.
 */
async function createView(connection, table, roots) {
  const globs = roots.map((root) => quoted(path.join(root, table, '**/*.parquet')));
  const found = await connection.runAndReadAll(
    `select filename, min(snapshot), max(snapshot) from read_parquet([${globs}], filename = true, union_by_name = true) group by 1 order by 1`,
  );
  const branches = found.getRows().map(([file, first, last]) => {
    const columns = first === last ? `${quoted(first)} as snapshot, * exclude (snapshot)` : '*';
    return `select ${columns} from read_parquet(${quoted(file)})`;
  });
  // Where no file has a row, there is none that says what its snapshot is called.
  if (branches.length === 0) branches.push(`select * from read_parquet([${globs}], union_by_name = true)`);
  await connection.run(`create view ${table} as ${branches.join(' union all by name ')}`);
}

const quoted = (text) => `'${text.replaceAll("'", "''")}'`;

function write(result, json) {
  const names = result.columnNames();
  const rows = result.getRowsJson();
  if (json) {
    console.log(JSON.stringify({ schemaVersion: 1, command: 'sql', columns: names, rows }, undefined, 2));
    return;
  }
  const cells = [names, ...rows].map((row) => row.map((cell) => printable(shown(cell), LONGEST)));
  const widths = names.map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  for (const row of cells) console.log(row.map((cell, i) => cell.padEnd(widths[i])).join('  ').trimEnd());
}

const shown = (cell) => (typeof cell === 'object' && cell !== null ? JSON.stringify(cell) : String(cell ?? ''));

/** A query may begin with a comment, `-- biggest classes`; an option's name has no white space. */
const isWord = (last) => /^--([^\s=]*\s|.*\n)/.test(last);

module.exports = { help, options, main, positionals: true, isWord };

// npm run test:data: the tables of `export --format parquet`, read back by DuckDB and pyarrow, and every query of docs/sql.md.
// Installs into .cache/data. `-- --quick` leaves pyarrow out.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { build } from '../../harness/build.mjs';
import limits from '../../harness/limits.cjs';
import { main, must, root, step } from '../../harness/run.mjs';
import { ageKey } from '../support/age.mjs';
import { installDuckDb } from './install.mjs';

const BIN = join(root, 'bin/heapdump-rs.js');
const PYARROW = 'pyarrow==26.0.1';

/** A root and an object: no text is there twice. */
const SMALL = JSON.stringify({
  snapshot: {
    meta: {
      node_fields: ['type', 'name', 'id', 'self_size', 'edge_count'],
      node_types: [['synthetic', 'object'], 'string', 'number', 'number', 'number'],
      edge_fields: ['type', 'name_or_index', 'to_node'],
      edge_types: [['property'], 'string_or_number', 'node'],
    },
    node_count: 2,
    edge_count: 1,
  },
  nodes: [0, 0, 1, 0, 1, 1, 1, 3, 8, 0],
  edges: [0, 2, 5],
  strings: ['', 'Thing', 'thing'],
});

const quick = process.argv.includes('--quick');
let home;

await main(async () => {
  await build();
  home = await installDuckDb();
  if (!quick) await installPyarrow();
  const directory = mkdtempSync(join(tmpdir(), 'heapdump-data-'));
  try {
    await all(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

async function all(directory) {
  execFileSync(process.execPath, [join(root, '__test__/data/subject.cjs'), directory], { timeout: limits.PROGRAM });
  const [before, after] = ['before', 'after'].map((name) => join(directory, `${name}.heapsnapshot`));
  const tables = join(directory, 'tables');
  for (const file of [before, after]) {
    const wanted = ['nodes', 'edges', 'strings', 'classes', 'suspects'].flatMap((table) => ['--table', table]);
    heapdump('export', file, '--format', 'parquet', '-o', tables, ...wanted, '--label', 'service=api', '--label', 'pod=a-1');
  }
  await step('the sums are those of summary', () => sums(tables, after));
  await step('types: sizes and ids are whole numbers, absent is null', () => types(tables));
  await step('metadata has the JSON beside the snapshot', () => metadata(directory, after));
  await step('labels as directories, as Hive partitions', () => partitions(directory, after));
  await step('an older file stays, unless --force', () => older(tables, after));
  await step('sql reads snapshots, too', () => {
    const [[objects]] = sql(after, 'select count(*) from nodes');
    assert.equal(objects, String(JSON.parse(heapdump('summary', after, '--json')).nodes));
  });
  await step('a query may begin with a comment', () => {
    for (const comment of ['-- how many', '--json\t?', '--a=b c']) assert.deepEqual(sql(tables, `${comment}\nselect 1`), [[1]]);
  });
  await step('a table may have no rows', () => {
    const file = join(directory, 'small.heapsnapshot');
    writeFileSync(file, SMALL);
    assert.deepEqual(sql(file, 'select (select count(*) from strings), (select count(*) from nodes)'), [['0', '2']]);
  });
  await step('sql reads encrypted snapshots, each with its key', () => encrypted(directory, [before, after]));
  for (const [title, query] of questions()) {
    await step(`docs/sql.md: ${title}`, () => assert.ok(sql(tables, query).length > 0, 'no rows'));
  }
  await step('objects are joined by their references, never all with all', () => joins(tables));
  if (!quick) await step('pyarrow reads the same', () => pyarrow(tables));
}

function encrypted(directory, snapshots) {
  const identities = [];
  const files = snapshots.map((snapshot, index) => {
    const { recipient, identity } = ageKey();
    const [key, file] = ['key', 'heapsnapshot.zst.age'].map((ending) => join(directory, `${index}.${ending}`));
    writeFileSync(key, identity);
    heapdump('redact', snapshot, file, '--encrypt-to', recipient);
    identities.push('--identity', key);
    return file;
  });
  assert.equal(sql(files, 'select snapshot, count(*) from nodes group by 1', identities).length, 2);
}

function questions() {
  const text = readFileSync(join(root, 'docs/sql.md'), 'utf8');
  const found = [...text.matchAll(/^### (.+)\n+```sql\n([^`]+)```/gm)].map(([, title, query]) => [title, query]);
  assert.equal(found.length, 15);
  return found;
}

function sums(tables, after) {
  const summary = JSON.parse(heapdump('summary', after, '--json', '--limit', '0'));
  const [[objects, bytes, edges]] = sql(tables, "select count(*), sum(shallow_size), sum(edge_count) from nodes where snapshot = 'after'");
  assert.deepEqual([objects, bytes, edges].map(Number), [summary.nodes, summary.totalSize, summary.edges]);
  const [[references]] = sql(tables, "select count(*) from edges where snapshot = 'after'");
  assert.equal(Number(references), summary.edges);
  const classes = sql(tables, "select key, count, shallow_size, retained_size from classes where snapshot = 'after'");
  const expected = new Map(summary.classes.map(({ key, ...row }) => [key, [row.count, row.shallowSize, row.retainedSize]]));
  assert.equal(classes.length, expected.size);
  for (const [key, ...numbers] of classes) assert.deepEqual(numbers.map(Number), expected.get(key), key);
  // Each reference belongs to the object that its ordinal says.
  const wrong = sql(tables, `select count(*) from (select n.edge_count, count(e.edge) as found from nodes n
    left join edges e on e.from = n.ordinal and e.snapshot = n.snapshot group by n.snapshot, n.ordinal, n.edge_count) where edge_count <> found`);
  assert.equal(Number(wrong[0][0]), 0);
}

function types(tables) {
  const columns = Object.fromEntries(sql(tables, 'describe nodes').map(([name, type]) => [name, type]));
  assert.equal(columns.id, 'BIGINT');
  assert.equal(columns.retained_size, 'BIGINT');
  assert.equal(columns.distance, 'INTEGER');
  assert.equal(columns.detached, 'BOOLEAN');
  assert.equal(columns.taken_at, 'TIMESTAMP WITH TIME ZONE');
  assert.equal(columns.pod, 'VARCHAR');
  const [[script, line, sessions]] = sql(tables, "select min(script), min(line), count(*) from nodes where class = 'Session' and snapshot = 'after' and script is not null");
  assert.match(script, /subject\.cjs$/);
  assert.deepEqual([Number(line), Number(sessions)], [6, 2100]);
}

function metadata(directory, after) {
  const record = '{"time":"2026-11-27T01:02:03.004Z","trigger":"test"}';
  writeFileSync(`${after}.json`, record);
  const tables = join(directory, 'with-record');
  heapdump('export', after, '--format', 'parquet', '-o', tables, '--table', 'classes');
  rmSync(`${after}.json`);
  const file = join(tables, 'classes/after.parquet');
  const found = sql(tables, `select decode(value), (select epoch_ms(max(taken_at)) from classes) from parquet_kv_metadata('${file}') where decode(key) = 'heapdump-rs.record'`);
  assert.deepEqual(found, [[record, String(Date.parse('2026-11-27T01:02:03.004Z'))]]);
}

function partitions(directory, after) {
  const tables = join(directory, 'partitioned');
  heapdump('export', after, '--format', 'parquet', '-o', tables, '--table', 'classes', '--label', 'pod=a/1', '--label', 'zone=ü 2', '--label-directories');
  const file = join(tables, 'classes/pod=a%2F1/zone=ü 2/after.parquet');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(sql(tables, 'select distinct pod, zone from classes'), [['a/1', 'ü 2']]);
}

function older(tables, after) {
  const again = ['export', after, '--format', 'parquet', '-o', tables, '--table', 'classes'];
  const { status, stderr } = spawnSync(process.execPath, [BIN, ...again], { encoding: 'utf8' });
  assert.equal(status, 2);
  assert.match(stderr, /after\.parquet is there already; --force replaces it/);
  heapdump(...again, '--force');
}

function joins(tables) {
  const [, holders] = questions().find(([title]) => title.includes('Who holds the duplicates?'));
  const [[, plan]] = sql(tables, `explain (format json) ${holders}`);
  const conditions = [];
  (function collect({ extra_info: { Conditions }, children = [] }) {
    if (Conditions !== undefined) conditions.push([Conditions].flat().join());
    children.forEach(collect);
  })(JSON.parse(plan)[0]);
  assert.equal(conditions.length, 2);
  for (const condition of conditions) assert.match(condition, /ordinal/);
}

function pyarrow(tables) {
  const script = 'import pyarrow.parquet as q, pyarrow.compute as c, sys\nt = q.read_table(sys.argv[1])\nprint(t.num_rows, c.sum(t["shallow_size"]).as_py())';
  const output = execFileSync(join(home, 'venv/bin/python'), ['-c', script, join(tables, 'nodes')], { encoding: 'utf8' });
  const [numbers] = sql(tables, 'select count(*), sum(shallow_size) from nodes');
  assert.equal(output.trim(), numbers.join(' '));
}

/** The rows of an answer. */
function sql(files, query, more = []) {
  const args = [BIN, 'sql', '--json', ...more, ...[files].flat(), query];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: home, encoding: 'utf8', maxBuffer: 1 << 28, timeout: limits.WAIT });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout).rows;
}

/** What a command prints. */
function heapdump(...args) {
  return execFileSync(process.execPath, [BIN, ...args], { encoding: 'utf8', maxBuffer: 1 << 28, timeout: limits.PROGRAM });
}

async function installPyarrow() {
  if (existsSync(join(home, 'venv/bin/python'))) return;
  await must('python3', ['-m', 'venv', join(home, 'venv')]);
  await must(join(home, 'venv/bin/pip'), ['install', '--quiet', PYARROW]);
}

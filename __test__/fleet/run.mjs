// npm run test:fleet: examples/fleet for real. Pods of three releases, one of which leaks, export snapshots to object storage; the
// command of the Kubernetes manifest, and Spark, make tables of them; DuckDB and Spark find what was planted. Installs into
// .cache/fleet, half a gigabyte; needs python3 with venv, and a Java runtime. `-- --quick`: fewer pods, without Spark.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { build } from '../../harness/build.mjs';
import limits from '../../harness/limits.cjs';
import { main, root, step } from '../../harness/run.mjs';
import { installDuckDb } from '../data/install.mjs';
import { install } from './install.mjs';
import { startStore } from './store.mjs';

const quick = process.argv.includes('--quick');
/** Snapshots of each pod by release; 60 of six pods, or 12 of three. */
const ROUNDS = quick ? { 41: 2, 42: 2 } : { 40: 3, 41: 3, 42: 4 };
const PODS = Array.from({ length: quick ? 3 : 6 }, (_, i) => `shop-${i}`);
const LEAKING = quick ? ['shop-0', 'shop-1'] : ['shop-0', 'shop-1', 'shop-2', 'shop-4'];
const ODD = PODS.at(-1);

await main(async () => {
  await build();
  const [duckdb, installed] = await Promise.all([installDuckDb(), install(quick)]);
  const directory = mkdtempSync(join(tmpdir(), 'heapdump-fleet-'));
  const store = await startStore(installed);
  try {
    await all({ ...installed, duckdb, store, directory });
  } finally {
    await store.stop();
    rmSync(directory, { recursive: true, force: true });
  }
});

async function all(fleet) {
  const { store, app, python, duckdb, directory } = fleet;
  const execute = (file, args, env = {}, cwd = app) =>
    promisify(execFile)(file, args, { cwd, env: { ...process.env, ...store.env, HEAP_BUCKET: 'heap-dumps', ...env }, timeout: limits.PROGRAM, maxBuffer: 1 << 26 });

  await step('pods write snapshots to the store, under their release and name', () => pods(fleet, execute));
  const manifest = JSON.parse((await execute(python, ['-c', 'import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))', 'job.yaml'])).stdout);
  if (!quick) {
    await step("the manifest is what Kubernetes' schema says", () => execute(python, ['-m', 'kubernetes_validate', '--strict', 'job.yaml']));
  }
  await step("the manifest's command makes tables, each pod of the job its share", () => job(fleet, execute, manifest));
  if (!quick) await step('so does Spark, of what is left', () => sparkJob(fleet, execute));
  await step("a snapshot that is none is told of, and in no other's way", () => broken(fleet, execute));

  await store.sync('tables/', join(directory, 'tables'));
  const question = readFileSync(join(app, 'question.sql'), 'utf8');
  const args = [join(root, 'bin/heapdump-rs.js'), 'sql', '--json', join(directory, 'tables'), question];
  const { stdout } = await execute(process.execPath, args, {}, duckdb);
  const { columns, rows } = JSON.parse(stdout);
  const found = rows.map((row) => finding(Object.fromEntries(columns.map((name, i) => [name, row[i]]))));
  console.table(found);
  await step('DuckDB finds the planted leak, its pods, and the odd pod', () => planted(found));
  if (quick) return;
  await step('Spark gives the same answer to the same text', async () => {
    const spark = await execute(...submit(python, 'question.py', join(directory, 'tables'), 'question.sql'));
    const rows = spark.stdout.split('\n').filter((line) => line.startsWith('{'));
    assert.deepEqual(rows.map((row) => finding(JSON.parse(row))), found);
  });
}

async function pods({ store }, execute) {
  const processes = PODS.flatMap((pod) => Object.entries(ROUNDS).map(([release, rounds]) => ({ pod, release, rounds })));
  const expected = [];
  // Two at a time.
  const work = async () => {
    for (let next = processes.shift(); next; next = processes.shift()) {
      const { pod, release, rounds } = next;
      const shop = { leaks: release === '42' && LEAKING.includes(pod), odd: pod === ODD, rounds };
      const env = { RELEASE: release, POD_NAME: pod, SHOP: JSON.stringify(shop) };
      const { stdout } = await execute(process.execPath, ['--max-old-space-size=256', '--require', './pod.cjs', 'shop.cjs'], env);
      const locations = stdout.trim().split('\n');
      assert.equal(locations.length, rounds);
      for (const location of locations) assert.ok(location.startsWith(`s3://heap-dumps/snapshots/release=${release}/pod=${pod}/heapdump-`), location);
      expected.push(...locations.map((location) => location.slice('s3://heap-dumps/'.length)));
    }
  };
  await Promise.all([work(), work()]);
  assert.equal(expected.length, quick ? 12 : 60);
  assert.deepEqual(await store.keys('snapshots/'), expected.sort());
}

/** Without Spark all of the job's pods, otherwise half of them. */
async function job({ store }, execute, manifest) {
  const { completions, template } = manifest.spec.jobTemplate.spec;
  const [{ command, env }] = template.spec.containers;
  const variables = Object.fromEntries(env.map(({ name, value }) => [name, value]));
  assert.equal(variables.HEAP_SHARES, `${completions}`);
  delete variables.AWS_REGION;
  const runs = quick ? completions : completions / 2;
  const done = [];
  for (let index = 0; index < runs; index++) {
    const { stdout, stderr } = await execute(process.execPath, command.slice(1), { ...variables, JOB_COMPLETION_INDEX: `${index}` });
    assert.equal(stderr, '');
    const keys = stdout.split('\n').filter(Boolean);
    // Names with times fall into shares by chance: of twelve one of four gets none in an eighth of all runs, so all are counted below.
    assert.ok((quick || keys.length > 0) && keys.length < (quick ? 12 : 60), `the share ${index} has ${keys.length}`);
    done.push(...keys);
  }
  assert.equal(new Set(done).size, done.length, 'no snapshot is in two shares');
  if (quick) assert.equal(done.length, 12);
  assert.equal(command[0], 'node');
  await tablesOf(store, done);
  const again = await execute(process.execPath, command.slice(1), { ...variables, JOB_COMPLETION_INDEX: '0' });
  assert.equal(again.stdout, '', 'what has tables is left alone');
}

async function sparkJob({ store, python }, execute) {
  const { stdout } = await execute(...submit(python, 'tables.py'));
  const [, done, missing] = /(\d+) of (\d+) snapshots have tables now/.exec(stdout);
  assert.ok(Number(done) > 0 && done === missing, stdout);
  await tablesOf(store, await store.keys('snapshots/'));
}

async function broken({ store }, execute) {
  const key = 'snapshots/release=42/pod=shop-0/broken.heapsnapshot.gz';
  const [whole] = await store.keys('snapshots/');
  await store.put(key, 'no snapshot');
  await store.put('snapshots/readme.txt', 'no snapshot, and no name of one');
  const table = whole.replace(/^snapshots(.*)\.heapsnapshot\.gz$/, 'tables/classes$1.parquet');
  await store.remove(table);
  const failed = await execute(process.execPath, ['tables.mjs']).catch((error) => error);
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /^snapshots\/release=42\/pod=shop-0\/broken\.heapsnapshot\.gz: /);
  assert.equal(failed.stdout, `${whole}\n`);
  assert.equal((await store.keys(table)).length, 1);
  await store.remove(key);
}

/** Each of these snapshots has its tables, and no other has. */
async function tablesOf(store, keys) {
  for (const table of ['suspects', 'classes']) {
    const expected = keys.map((key) => key.replace(/^snapshots(.*)\.heapsnapshot\.gz$/, `tables/${table}$1.parquet`));
    assert.deepEqual(await store.keys(`tables/${table}/`), expected.sort());
  }
}

function planted(found) {
  const of = (kind, name) => found.filter((row) => row.finding === kind && row.class === name).map(({ pod }) => pod);
  const [first] = found;
  assert.deepEqual([first.finding, first.class], ['grew with 42', 'PendingOrder']);
  assert.deepEqual(of('grew with 42', 'PendingOrder').sort(), LEAKING);
  const odd = found.filter((row) => row.finding === 'odd pod');
  assert.equal(odd[0].class, 'Route');
  assert.deepEqual(of('odd pod', 'Route'), [ODD]);
  // What else grew or is odd is within these.
  for (const { finding: kind, pod } of found) assert.ok(kind === 'odd pod' ? pod === ODD : LEAKING.includes(pod), `${kind}: ${pod}`);
}

/** Numbers as numbers: DuckDB's JSON has large ones as texts. */
function finding(row) {
  return { ...row, ...Object.fromEntries(['usual', 'objects', 'bytes'].map((name) => [name, Number(row[name])])) };
}

/** Spark in this machine, in 1 GB. */
function submit(python, ...args) {
  const spark = join(python, '../spark-submit');
  const conf = ['spark.ui.enabled=false', 'spark.sql.shuffle.partitions=4', 'spark.driver.host=127.0.0.1'].flatMap((each) => ['--conf', each]);
  const env = { SPARK_LOCAL_IP: '127.0.0.1', PYSPARK_PYTHON: python, PYSPARK_DRIVER_PYTHON: python };
  return [spark, ['--master', 'local[2]', '--driver-memory', '1g', ...conf, ...args], env];
}

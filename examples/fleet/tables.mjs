// The job: snapshots of the bucket become tables of Parquet, one snapshot at a time.
//
//   node tables.mjs          all that have none yet; in an indexed Job of Kubernetes, its share of them
//   node tables.mjs --list   their keys
//   node tables.mjs -        those whose keys come on standard input, a line each
//
// snapshots/release=42/pod=shop-1/NAME.heapsnapshot.gz becomes tables/classes/release=42/pod=shop-1/NAME.parquet.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, readdir, rm, stat, utimes } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';

import { GetObjectCommand, PutObjectCommand, S3Client, paginateListObjectsV2 } from '@aws-sdk/client-s3';

const { HEAP_BUCKET: Bucket, HEAP_TABLES = 'suspects,classes', HEAP_SHARES = '1', JOB_COMPLETION_INDEX = '0' } = process.env;
/** The last one is there when all are. */
const TABLES = HEAP_TABLES.split(',');
/** Labels are in the key: `release=42/pod=shop-1/`. */
const SNAPSHOT = /^snapshots\/((?:[a-z]\w*=[^/]+\/)*)([^/]+)\.heapsnapshot(?:\.gz|\.zst)?$/;
const BIN = createRequire(import.meta.url).resolve('heapdump-rs/package.json').replace(/package\.json$/, 'bin/heapdump-rs.js');

const client = new S3Client({});
const [mode] = process.argv.slice(2);
if (mode === '--list') for (const key of await missing()) console.log(key);
else for await (const key of mode === '-' ? createInterface({ input: process.stdin }) : (await missing()).filter(isOurs)) await convert(key);

/** One that fails is told of, and tried again with the next job; the others are not in its way. */
async function convert(key) {
  const directory = await mkdtemp(join(tmpdir(), 'heap-tables-'));
  try {
    const file = await download(key, directory);
    const labels = SNAPSHOT.exec(key)[1].split('/').filter(Boolean);
    const args = [...labels.flatMap((label) => ['--label', label]), ...TABLES.flatMap((table) => ['--table', table])];
    const output = join(directory, 'tables');
    await promisify(execFile)(process.execPath, [BIN, 'export', file, '--format', 'parquet', '-o', output, '--label-directories', ...args]);
    for (const table of TABLES) await upload(output, table);
    console.log(key);
  } catch (error) {
    console.error(`${key}: ${error.stderr?.trim() || error.message}`);
    process.exitCode = 1;
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function download(Key, directory) {
  const { Body, LastModified } = await client.send(new GetObjectCommand({ Bucket, Key }));
  const file = join(directory, basename(Key));
  await pipeline(Body, createWriteStream(file));
  await utimes(file, LastModified, LastModified);
  return file;
}

async function upload(output, table) {
  for (const name of await readdir(join(output, table), { recursive: true })) {
    if (!name.endsWith('.parquet')) continue;
    const Body = createReadStream(join(output, table, name));
    const ContentLength = (await stat(join(output, table, name))).size;
    await client.send(new PutObjectCommand({ Bucket, Key: `tables/${table}/${name}`, Body, ContentLength }));
  }
}

/** Snapshots without tables, in order. */
async function missing() {
  const last = `tables/${TABLES.at(-1)}/`;
  const done = new Set();
  for await (const key of keys(last)) done.add(basename(key, '.parquet'));
  const found = [];
  for await (const key of keys('snapshots/')) if (!done.has(SNAPSHOT.exec(key)?.[2] ?? key)) found.push(key);
  return found.filter((key) => SNAPSHOT.test(key)).sort();
}

async function* keys(Prefix) {
  for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket, Prefix })) for (const { Key } of Contents) yield Key;
}

/** The same share in every run, however many are done already. */
function isOurs(key) {
  return createHash('sha256').update(key).digest().readUInt32BE() % Number(HEAP_SHARES) === Number(JOB_COMPLETION_INDEX);
}

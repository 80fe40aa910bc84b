// Is this file, or this stream, a whole heap snapshot? Any size, plain or compressed, at hundreds of MB a second.
//
//   const { nodes, edges, strings } = await validateSnapshot('a.heapsnapshot.gz');

import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pathToFileURL } from 'node:url';
import zlib from 'node:zlib';

import { InvalidSnapshot, SnapshotScanner } from './scanner.mjs';

export { InvalidSnapshot };

const CHUNK = 1 << 20;

/**
 * Reads the whole file (`.gz` and `.zst` decompressed) and gives its counts; rejects with {@link InvalidSnapshot}, or
 * with the decompressor's error, if it is not a whole snapshot.
 *
 * @param {string | Buffer | URL} file
 * @param {{onNode?: (row: number[]) => void, onEdge?: (row: number[]) => void, strings?: boolean}} [options]
 */
export function validateSnapshot(file, options) {
  const extension = /\.(gz|zst)$/.exec(file.toString())?.[1];
  return validateStream(fs.createReadStream(file, { highWaterMark: CHUNK }), { ...options, extension });
}

/** The same of a Readable's bytes; `extension` 'gz' or 'zst' says that they are compressed. */
export async function validateStream(source, { extension, ...options } = {}) {
  const scanner = new SnapshotScanner(options);
  const read = async (chunks) => {
    for await (const chunk of chunks) scanner.write(chunk);
  };
  if (extension === undefined) await pipeline(source, read);
  else if (extension === 'zst' && !zlib.createZstdDecompress) await readByZstd(source, read);
  else await pipeline(source, extension === 'gz' ? zlib.createGunzip() : zlib.createZstdDecompress(), read);
  return scanner.end();
}

/** Whether this Node, or a `zstd` on the PATH, can decompress `.zst`. */
export function canReadZstd() {
  return zlib.createZstdDecompress !== undefined || spawnSync('zstd', ['--version']).status === 0;
}

async function readByZstd(source, read) {
  const tool = spawn('zstd', ['-dcq'], { stdio: ['pipe', 'pipe', 'ignore'] });
  const ended = new Promise((resolve, reject) => {
    tool.once('error', reject);
    tool.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`zstd ended with ${code}`))));
  });
  await Promise.all([pipeline(source, tool.stdin), pipeline(tool.stdout, new PassThrough(), read), ended]);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const file of process.argv.slice(2)) {
    const { header, stringTable, ...counts } = await validateSnapshot(file);
    console.log(file, counts);
  }
}

// How npm's @heap-snapshot/tool can be run. Its binary for Linux wants glibc 2.39; where there is an older one (Debian
// 12), Debian 13's is unpacked beside it and used for that program alone.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';

import { unpackDebian } from '../harness/debian.mjs';

/** The command to start it with; nothing, with a word why, where it cannot be started. */
export async function heapSnapshotTool(cache) {
  const dir = path.join(cache, 'heap-snapshot-tool');
  const binary = path.join(dir, `node_modules/@heap-snapshot/${process.platform}-${process.arch}/heap-snapshot`);
  try {
    if (!fs.existsSync(binary)) {
      fs.mkdirSync(dir, { recursive: true });
      fs.writeFileSync(path.join(dir, 'package.json'), JSON.stringify({ private: true }));
      const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error', '@heap-snapshot/tool@0.0.10'];
      execFileSync('npm', args, { cwd: dir, stdio: 'inherit' });
      fs.chmodSync(binary, 0o755);
    }
    if (runs([binary])) return [binary];
    const [loader, libraries] = await glibc(dir);
    const command = [loader, '--library-path', `${libraries}:/lib/x86_64-linux-gnu`, binary];
    if (runs(command)) return command;
    throw new Error('it does not start');
  } catch (error) {
    process.stdout.write(`without @heap-snapshot/tool: ${error.message}\n`);
    return undefined;
  }
}

function runs([command, ...args]) {
  return spawnSync(command, [...args, '--help'], { stdio: 'ignore' }).status === 0;
}

async function glibc(dir) {
  const libraries = path.join(await unpackDebian(path.join(dir, 'glibc'), 'amd64', ['libc6']), 'usr/lib/x86_64-linux-gnu');
  return [path.join(libraries, 'ld-linux-x86-64.so.2'), libraries];
}

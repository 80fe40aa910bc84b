// How npm's @heap-snapshot/tool can be run. Its binary for Linux wants glibc 2.39; where there is an older one (Debian
// 12), Debian 13's is unpacked beside it and used for that program alone.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';

const GLIBC = {
  url: 'http://deb.debian.org/debian/pool/main/g/glibc/libc6_2.41-12+deb13u1_amd64.deb',
  sha256: '0a51c7ba7c59b3c664b836fe33c5184e6f5a869f57e86613381e954d74282b66',
};

/** The command to start it with; nothing, with a word why, where it cannot be started. */
export function heapSnapshotTool(cache) {
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
    const [loader, libraries] = glibc(dir);
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

function glibc(dir) {
  const libraries = path.join(dir, 'glibc/usr/lib/x86_64-linux-gnu');
  const loader = path.join(libraries, 'ld-linux-x86-64.so.2');
  if (!fs.existsSync(loader)) {
    const file = path.join(dir, 'libc6.deb');
    execFileSync('curl', ['-sSf', '-o', file, GLIBC.url], { stdio: 'inherit' });
    const found = createHash('sha256').update(fs.readFileSync(file)).digest('hex');
    if (found !== GLIBC.sha256) throw new Error(`${GLIBC.url} has the SHA-256 ${found}`);
    execFileSync('dpkg-deb', ['-x', file, path.join(dir, 'glibc')], { stdio: 'inherit' });
  }
  return [loader, libraries];
}

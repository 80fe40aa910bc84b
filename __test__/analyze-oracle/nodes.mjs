// Node binaries of other versions: npm packages hold them. Fetched once, into .cache/nodes.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const executable = process.platform === 'win32' ? 'node.exe' : 'node';

/** The path of a Node of a major version. */
export function nodeBinary(version) {
  const dir = path.join(root, '.cache/nodes', String(version));
  const binary = path.join(dir, 'package/bin', executable);
  if (!fs.existsSync(binary)) {
    fs.mkdirSync(dir, { recursive: true });
    const platform = process.platform === 'win32' ? 'win' : process.platform;
    const name = `node-${platform}-${process.arch}@${version}`;
    const packed = execFileSync('npm', ['pack', name, '--silent'], { cwd: dir, encoding: 'utf8' });
    const archive = packed.trim().split('\n').pop();
    execFileSync('tar', ['xzf', archive], { cwd: dir });
    fs.rmSync(path.join(dir, archive));
  }
  return binary;
}

/** The analyzer's command, built if needed. */
export function analyzerBinary() {
  const args = ['build', '--release', '--quiet', '-p', 'heapdump-cli'];
  execFileSync('cargo', args, { cwd: root, stdio: 'inherit' });
  const name = process.platform === 'win32' ? 'heapdump-rs.exe' : 'heapdump-rs';
  const target = process.env.CARGO_TARGET_DIR ?? 'target';
  return path.resolve(root, target, 'release', name);
}

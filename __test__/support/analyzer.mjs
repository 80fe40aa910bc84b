// The analyzer's command, as a program of its own.

import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';

import { root } from '../../harness/run.mjs';

/** Its path, built if needed. */
export function analyzerBinary() {
  const args = ['build', '--release', '--quiet', '-p', 'heapdump-cli'];
  execFileSync('cargo', args, { cwd: root, stdio: 'inherit' });
  const name = process.platform === 'win32' ? 'heapdump-rs.exe' : 'heapdump-rs';
  const target = process.env.CARGO_TARGET_DIR ?? 'target';
  return resolve(root, target, 'release', name);
}

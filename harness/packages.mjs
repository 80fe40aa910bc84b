// Packages of the npm registry that are no dependencies (other Node.js versions, package managers, other runtimes):
// pinned, checked, unpacked under .cache/.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

import { Problem, root, run } from './run.mjs';

/** The directory of a package, fetched into `.cache/PLACE` if need be. */
export async function fetchPackage(name, version, integrity, place = `packages/${name}@${version}`) {
  const home = join(root, '.cache', place);
  const unpacked = join(home, 'package');
  if (existsSync(unpacked)) return unpacked;
  const work = `${home}.${process.pid}.tmp`;
  mkdirSync(work, { recursive: true });
  try {
    const pack = await run('npm', ['pack', '--silent', '--pack-destination', work, `${name}@${version}`], { capture: true });
    if (pack.code !== 0) throw new Problem(`npm pack ${name}@${version} failed:\n${pack.output}`);
    const archive = join(work, readdirSync(work).find((file) => file.endsWith('.tgz')));
    const digest = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
    if (digest !== integrity) throw new Problem(`${name}@${version} is not what was pinned: ${digest}`);
    // GNU tar, which Git brings to Windows, takes `C:` for a host.
    const [from, to] = [archive, work].map((file) => relative(root, file));
    const { code, output } = await run('tar', ['-xzf', from, '-C', to], { capture: true });
    if (code !== 0) throw new Problem(`${archive} does not unpack: ${output}`);
    rmSync(archive);
    mkdirSync(dirname(home), { recursive: true });
    renameSync(work, home);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return unpacked;
}

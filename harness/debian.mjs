// Packages of Debian 13 on a machine with another Debian or Ubuntu: unpacked into a directory, by an apt of its own that checks
// signatures as ever. They come from the mirror that the system uses; the system's packages are not touched.

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Problem, must } from './run.mjs';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** `home`, with `packages` of `architecture` ('amd64', 'arm64') in it; fetched once. */
export async function unpackDebian(home, architecture, packages) {
  if (existsSync(home)) return home;
  console.log(`Fetching Debian's ${packages.join(', ')} for ${architecture} …`);
  const work = `${home}.${process.pid}.tmp`;
  const at = (...names) => join(work, ...names);
  for (const directory of ['lists/partial', 'cache/archives/partial', 'root/usr/lib']) mkdirSync(at(directory), { recursive: true });
  writeFileSync(at('status'), '');
  writeFileSync(at('sources.list'), `deb [signed-by=${KEYRING}] ${await mirror()} trixie main\n`);
  const settings = {
    'Dir::State': work,
    'Dir::State::lists': at('lists'),
    'Dir::State::status': at('status'),
    'Dir::Cache': at('cache'),
    'Dir::Etc::sourcelist': at('sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'APT::Architecture': architecture,
    'APT::Architectures': architecture,
    'APT::Sandbox::User': 'root',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  try {
    await must('apt-get', [...options, 'update', '-qq']);
    await must('sh', ['-c', 'cd "$0" && exec apt-get "$@"', work, ...options, 'download', '-qq', ...packages]);
    for (const file of readdirSync(work).filter((name) => name.endsWith('.deb'))) await must('dpkg', ['-x', at(file), at('root')]);
    symlinkSync('usr/lib', at('root/lib'));
    renameSync(at('root'), home);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return home;
}

async function mirror() {
  const targets = await must('apt-get', ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages']);
  const found = targets.split('\n').find((uri) => /\/debian\/?$/.test(uri));
  if (!found) throw new Problem('apt knows no mirror of Debian: `apt-get update` once.');
  return found;
}

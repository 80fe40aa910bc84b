// Packages of another Debian than the machine's (or of Debian, on Ubuntu): unpacked into a directory, by an apt of its own that checks
// signatures as ever. They come from the mirror that the system uses; the system's packages are not touched.

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Problem, must } from './run.mjs';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * `home`, with `packages` of `architecture` ('amd64', 'arm64') in it; fetched once. `areMeta`: what they depend on is meant, such as the
 * newest kernel.
 */
export async function unpackDebian(home, architecture, packages, { release = 'trixie', areMeta = false } = {}) {
  if (existsSync(home)) return home;
  console.log(`Fetching Debian's ${packages.join(', ')} for ${architecture} …`);
  const work = `${home}.${process.pid}.tmp`;
  const at = (...names) => join(work, ...names);
  for (const directory of ['lists/partial', 'cache/archives/partial', 'root/usr/lib']) mkdirSync(at(directory), { recursive: true });
  writeFileSync(at('status'), '');
  writeFileSync(at('sources.list'), `deb [signed-by=${KEYRING}] ${await mirror()} ${release} main\n`);
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
    const wanted = areMeta ? await dependencies(options, packages) : packages;
    await must('sh', ['-c', 'cd "$0" && exec apt-get "$@"', work, ...options, 'download', '-qq', ...wanted]);
    for (const file of readdirSync(work).filter((name) => name.endsWith('.deb'))) await must('dpkg', ['-x', at(file), at('root')]);
    if (!existsSync(at('root/lib'))) symlinkSync('usr/lib', at('root/lib'));
    renameSync(at('root'), home);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return home;
}

async function dependencies(options, packages) {
  const said = await must('apt-cache', [...options, 'depends', '--important', ...packages]);
  return [...said.matchAll(/^ +Depends: ([\w.+-]+)$/gm)].map(([, name]) => name);
}

async function mirror() {
  const targets = await must('apt-get', ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages']);
  const found = targets.split('\n').find((uri) => /\/debian\/?$/.test(uri));
  if (!found) throw new Problem('apt knows no mirror of Debian: `apt-get update` once.');
  return found;
}

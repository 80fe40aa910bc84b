// The tarballs that are published: `node tools/pack.mjs DIRECTORY` packs the main package and a package for each binary in
// prebuilt/, all of which must be there unless `--partial` is given.

import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { Problem, green, main, root, run } from '../harness/run.mjs';
import { faultsOf } from './binaries.mjs';
import { TARGETS, binaryOf } from './targets.mjs';

/** The platforms that a package is published for. */
export const platforms = () => readdirSync(join(root, 'npm'));

/**
 * Packs the main package and those of the platforms in `binaries`.
 * @param {Record<string, string>} binaries by the platform's name
 * @returns {Promise<Record<string, string>>} the tarballs, by the package's name
 */
export async function pack(binaries, destination) {
  const staged = mkdtempSync(join(tmpdir(), 'heapdump-rs-pack-'));
  try {
    const directories = Object.entries(binaries).map(([name, binary]) => stage(name, binary, join(staged, name)));
    return await npmPack([root, ...directories], destination);
  } finally {
    rmSync(staged, { recursive: true, force: true });
  }
}

/** The directory of a platform's package with what is not committed there. */
function stage(name, binary, directory) {
  cpSync(join(root, 'npm', name), directory, { recursive: true, filter: (file) => !file.endsWith('.node') });
  copyFileSync(join(root, 'LICENSE'), join(directory, 'LICENSE'));
  copyFileSync(binary, join(directory, `heapdump-rs.${name}.node`));
  return directory;
}

async function npmPack(directories, destination) {
  const args = ['pack', ...directories, '--json', '--silent', '--pack-destination', destination];
  const { code, output } = await run('npm', args, { capture: true });
  if (code !== 0) throw new Problem(`npm pack failed:\n${output}`);
  const packed = JSON.parse(output.slice(output.search(/^[[{]/m)));
  // An array; from npm 12 on an object by name.
  return Object.fromEntries(Object.values(packed).map(({ name, filename }) => [name, join(destination, filename)]));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(async () => {
    const partial = process.argv.includes('--partial');
    const destination = resolve(process.argv.slice(2).find((word) => word !== '--partial') ?? 'packed');
    mkdirSync(destination, { recursive: true });
    const binaries = {};
    for (const name of platforms()) {
      const binary = binaryOf(name);
      if (!existsSync(binary) && partial) continue;
      if (!existsSync(binary)) throw new Problem(`${binary} is missing`);
      const faults = faultsOf(binary, name, TARGETS[name]);
      if (faults.length > 0) throw new Problem(`${binary}: ${faults.join('; ')}`);
      binaries[name] = binary;
    }
    for (const tarball of Object.values(await pack(binaries, destination))) console.log(`${green('✓')} ${tarball}`);
  });
}

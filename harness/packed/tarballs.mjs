// The tarballs of the packages: of all platforms, or as they would be published with this machine's binary alone.

import { chmodSync, copyFileSync, cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { restorerIsBuilt } from '../restorer.mjs';
import { Problem, root, run } from '../run.mjs';
import { buildViewer } from '../viewer.mjs';

/** The platforms that a package is published for. */
export const platforms = () => readdirSync(join(root, 'npm'));

/**
 * Packs the main package and those of the platforms in `binaries`.
 * @param {Record<string, {addon: string, restorer?: string, tracer?: string}>} binaries files, by the platform's name
 * @returns {Promise<Record<string, string>>} the tarballs, by the package's name
 */
export async function pack(binaries, destination) {
  await buildViewer();
  const staged = mkdtempSync(join(tmpdir(), 'heapdump-rs-pack-'));
  try {
    const directories = Object.entries(binaries).map(([name, files]) => stage(name, files, join(staged, name)));
    return await npmPack([root, ...directories], destination);
  } finally {
    rmSync(staged, { recursive: true, force: true });
  }
}

/**
 * Into `work`; those of other platforms hold a stand-in, which must never get anywhere near this machine.
 * @returns {Promise<Record<string, string>>} the tarballs, by the package's name
 */
export async function packHere(work) {
  const standIn = join(work, 'stand-in');
  writeFileSync(standIn, 'a binary for another platform');
  const own = here();
  const filesFor = (name) => {
    if (name === own.name) return { addon: own.file, restorer: own.restorer, tracer: own.tracer };
    return { addon: standIn, ...(restorerIsBuilt(name) && { restorer: standIn, tracer: standIn }) };
  };
  return pack(Object.fromEntries(platforms().map((name) => [name, filesFor(name)])), work);
}

/** This platform's name and the binaries that `npm run build` made. */
export function here() {
  for (const name of platforms()) {
    const file = join(root, `heapdump-rs.${name}.node`);
    if (name.startsWith(`${process.platform}-${process.arch}`) && existsSync(file)) {
      if (!restorerIsBuilt(name)) return { name, file };
      return { name, file, restorer: join(root, `heapimage-restore.${name}`), tracer: join(root, `heapimage-outside.${name}`) };
    }
  }
  throw new Problem(`there is no package for ${process.platform}-${process.arch}`);
}

/** The directory of a platform's package with what is not committed there. */
function stage(name, { addon, restorer, tracer }, directory) {
  cpSync(join(root, 'npm', name), directory, { recursive: true, filter: (file) => !file.endsWith('.node') });
  copyFileSync(join(root, 'LICENSE'), join(directory, 'LICENSE'));
  copyFileSync(addon, join(directory, `heapdump-rs.${name}.node`));
  for (const [file, program] of [[restorer, 'heapimage-restore'], [tracer, 'heapimage-outside']]) {
    if (file === undefined) continue;
    copyFileSync(file, join(directory, program));
    chmodSync(join(directory, program), 0o755);
  }
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

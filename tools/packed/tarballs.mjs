// The tarballs of all packages as they would be published from here, with this machine's binary.

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { pack, platforms } from '../pack.mjs';
import { Problem, root } from '../run.mjs';

/**
 * Into `work`; those of other platforms hold a stand-in, which must never get anywhere near this machine.
 * @returns {Promise<Record<string, string>>} the tarballs, by the package's name
 */
export async function packHere(work) {
  const standIn = join(work, 'stand-in');
  writeFileSync(standIn, 'a binary for another platform');
  const own = here();
  return pack(Object.fromEntries(platforms().map((name) => [name, name === own.name ? own.file : standIn])), work);
}

/** This platform's name and the binary that `npm run build` made. */
export function here() {
  for (const name of platforms()) {
    const file = join(root, `heapdump-rs.${name}.node`);
    if (name.startsWith(`${process.platform}-${process.arch}`) && existsSync(file)) return { name, file };
  }
  throw new Problem(`there is no package for ${process.platform}-${process.arch}`);
}

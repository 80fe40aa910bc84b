// What is on the disk of the virtual machine beside the package.

import fs from 'node:fs';

/** The versions of Node.js: `{major, node}`, the path of its binary. */
export const NODES = fs.readdirSync('/node').map((major) => ({ major, node: `/node/${major}/bin/node` }));

/** A directory of which the other kernel gets images and core files: they become snapshots there (restored.mjs). */
export function makeOutput(major, name) {
  const directory = `/out/${major}/${name}`;
  fs.mkdirSync(directory, { recursive: true });
  return directory;
}

/** The processor is emulated (run.mjs): it lacks what that of the other kernel has, and is slow. */
export const IS_EMULATED = process.env.HEAPDUMP_TEST_TIMES !== '1';

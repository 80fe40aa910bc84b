// The server and the official client, as npm installs them.

import { copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Problem, root, run } from '../../harness/run.mjs';

const CLIENT = '@modelcontextprotocol/client@2.4.0';

/** The directory that they are installed in. */
export async function install() {
  const home = join(root, '.cache/mcp');
  const packages = join(home, 'packages');
  rmSync(packages, { recursive: true, force: true });
  mkdirSync(packages, { recursive: true });
  // From tarballs: a link would find the packages of this repository instead of its own.
  for (const directory of ['.', './packages/heapdump-rs-mcp']) {
    await npm('pack', '--silent', '--ignore-scripts', '--pack-destination', packages, directory);
  }
  writeFileSync(join(home, 'package.json'), '{ "private": true }\n');
  const tarballs = readdirSync(packages).map((name) => join(packages, name));
  await npm('install', '--prefix', home, '--no-audit', '--no-fund', '--silent', CLIENT, ...tarballs);
  for (const name of readdirSync(root).filter((file) => /\.node$|^heapimage-.*\.linux-/.test(file))) {
    copyFileSync(join(root, name), join(home, 'node_modules/heapdump-rs', name));
  }
  return home;
}

async function npm(...args) {
  const { code, output } = await run('npm', args, { capture: true });
  if (code !== 0) throw new Problem(`npm ${args.join(' ')} failed:\n${output}`);
}

// Node-RED and our two packages, as npm installs them.

import { existsSync, mkdirSync, readdirSync, rmSync, copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Problem, root, run } from '../../harness/run.mjs';

const CACHE = join(root, '.cache/node-red');
export const PLAYWRIGHT = '1.65.1';

/** `{home, user, shots}`: where Node-RED is, its user directory, and where screenshots go. */
export async function prepare(version) {
  const home = join(CACHE, version);
  if (!existsSync(join(home, 'node_modules/node-red/red.js'))) {
    await install(home, `node-red@${version}`);
  }
  const tools = join(CACHE, 'tools');
  if (!existsSync(join(tools, 'node_modules/playwright-core'))) await install(tools, `playwright-core@${PLAYWRIGHT}`);

  const user = join(CACHE, `${version}-user`);
  rmSync(user, { recursive: true, force: true });
  const packages = join(user, 'packages');
  mkdirSync(packages, { recursive: true });
  // Both from tarballs: links would find the packages of this repository instead of their own.
  for (const directory of ['.', './packages/node-red-contrib-heapdump-rs']) {
    await npm('pack', '--silent', '--ignore-scripts', '--pack-destination', packages, directory);
  }
  const tarballs = readdirSync(packages)
    .sort()
    .map((name) => join(packages, name));
  await install(user, ...tarballs);
  for (const name of readdirSync(root).filter((file) => file.endsWith('.node'))) {
    copyFileSync(join(root, name), join(user, 'node_modules/heapdump-rs', name));
  }
  writeFileSync(join(user, 'settings.js'), `module.exports = ${JSON.stringify(SETTINGS, null, 2)};\n`);
  const shots = join(CACHE, `${version}-screenshots`);
  mkdirSync(shots, { recursive: true });
  return { home, user, shots, tools };
}

const SETTINGS = {
  uiHost: '127.0.0.1',
  flowFile: 'flows.json',
  credentialSecret: 'test',
  diagnostics: { enabled: false },
  telemetry: { enabled: false, updateNotification: false },
  editorTheme: { tours: false, projects: { enabled: false } },
  logging: { console: { level: 'info', metrics: false, audit: false } },
};

async function install(directory, ...packages) {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'package.json'), '{ "private": true }\n');
  console.log(`Installing ${packages.map((name) => name.replace(`${root}/`, '')).join(' ')} …`);
  await npm('install', '--prefix', directory, '--no-audit', '--no-fund', '--silent', ...packages);
}

async function npm(...args) {
  const { code, output } = await run('npm', args, { capture: true });
  if (code !== 0) throw new Problem(`npm ${args.join(' ')} failed:\n${output}`);
}

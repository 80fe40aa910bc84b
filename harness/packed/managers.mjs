// The package managers that the tarballs are installed with: each in an empty project, from a registry of ours.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { fetchPackage } from '../packages.mjs';

/**
 * Of each: `prepare` makes the settings in a project's directory, `install` is its command line, and `node` what starts a
 * program there. `pnp`: without node_modules. Caches are inside the project, so that nothing is remembered of the last run.
 */
export const MANAGERS = {
  npm: {
    prepare: (project, url) => {
      const lines = [`registry=${url}`, `cache=${join(project, '.npm')}`, 'audit=false', 'fund=false', 'update-notifier=false'];
      writeFileSync(join(project, '.npmrc'), `${lines.join('\n')}\n`);
    },
    install: async () => ['npm', 'install'],
    node: async () => [process.execPath],
  },
  pnpm: {
    prepare: (project, url) => {
      const lines = [`registry=${url}`, `store-dir=${join(project, '.store')}`, `cache-dir=${join(project, '.pnpm')}`];
      writeFileSync(join(project, '.npmrc'), `${lines.join('\n')}\nupdate-notifier=false\n`);
    },
    install: async () => [process.execPath, await pnpm(), 'install', '--no-lockfile'],
    node: async () => [process.execPath],
  },
  'yarn 1': {
    // It links only what fits, and does not know of `libc`.
    fetchesAll: true,
    ignoresLibc: true,
    prepare: (project, url) => {
      writeFileSync(join(project, '.yarnrc'), `registry "${url}"\ncache-folder "${join(project, '.yarn')}"\ndisable-self-update-check true\n`);
    },
    install: async () => [process.execPath, await yarn1(), 'install', '--non-interactive', '--no-lockfile'],
    node: async () => [process.execPath],
  },
  // Plug'n'Play: no node_modules, packages in archives.
  'yarn 4': {
    pnp: true,
    prepare: (project, url) => {
      const settings = {
        npmRegistryServer: url,
        unsafeHttpWhitelist: ['127.0.0.1'],
        globalFolder: join(project, '.yarn'),
        enableGlobalCache: false,
        enableTelemetry: false,
        enableImmutableInstalls: false,
        pnpEnableEsmLoader: true,
        npmMinimalAgeGate: 0,
      };
      writeFileSync(join(project, '.yarnrc.yml'), JSON.stringify(settings));
      writeFileSync(join(project, 'yarn.lock'), '');
    },
    install: async () => [process.execPath, await yarn4(), 'install'],
    node: async () => [process.execPath, await yarn4(), 'node'],
  },
};

const pnpm = async () =>
  join(
    await fetchPackage(
      'pnpm',
      '10.34.8',
      'sha512-9ieo6XE0Ov5J39D2PQKCNCAd+oMdXLWIcz4eX42ya/FpiaMhYatcG02zsf28NzFgYGtbieAC323RmoWt+R/FqA==',
    ),
    'bin/pnpm.cjs',
  );

const yarn1 = async () =>
  join(
    await fetchPackage(
      'yarn',
      '1.22.22',
      'sha512-prL3kGtyG7o9Z9Sv8IPfBNrWTDmXB4Qbes8A9rEzt6wkJV8mUvoirjU0Mp3GGAU06Y0XQyA3/2/RQFVuK7MTfg==',
    ),
    'bin/yarn.js',
  );

const yarn4 = async () =>
  join(
    await fetchPackage(
      '@yarnpkg/cli-dist',
      '4.18.1',
      'sha512-EH+A4TxAtBWXKE0DGQxW9Bo9crXHLJ73mfxjTQJuv8XonNWWTpei8BQ5JjczHJNU9GROTycwMFn8iOvRIZXUcA==',
    ),
    'bin/yarn.js',
  );

// npm run test:bundlers: what bundlers and tracers make of an application still finds the binary, with node_modules gone. Installs
// them into .cache/bundlers, and the packages as they would be published from a registry on this machine. `-- webpack sea` runs
// only test files of such names, `-- --quick` those that take seconds.

import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { build } from '../../harness/build.mjs';
import { startRegistry } from '../../harness/packed/registry.mjs';
import { packHere } from '../../harness/packed/tarballs.mjs';
import { main, must, root, run } from '../../harness/run.mjs';

const here = join(root, '__test__/bundlers');
const cache = join(root, '.cache/bundlers');
const QUICK = ['nft', 'webpack', 'esbuild'];

await main(async () => {
  const words = process.argv.slice(2);
  const only = words.includes('--quick') ? QUICK : words;
  await build();
  await installTools();
  // Elsewhere: nothing of this repository's own node_modules is found from there.
  const work = mkdtempSync(join(tmpdir(), 'heapdump-bundlers-'));
  try {
    const tarballs = Object.values(await packHere(work));
    await installApplication(join(work, 'app'), tarballs);
    const files = readdirSync(here)
      .filter((file) => file.endsWith('.test.mjs') && (only.length === 0 || only.some((part) => file.includes(part))))
      .map((file) => join(here, file));
    const env = { ...process.env, BUNDLERS: cache, BUNDLERS_WORK: work, BUNDLERS_TARBALLS: JSON.stringify(tarballs) };
    for (const name of ['NODE_TEST_CONTEXT', 'NODE_HEAPDUMP_OPTIONS', 'NODE_OPTIONS']) delete env[name];
    const { code } = await run(process.execPath, ['--test', '--test-reporter=spec', '--test-concurrency=1', ...files], { env });
    process.exitCode = files.length > 0 ? code : 1;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
});

async function installTools() {
  mkdirSync(cache, { recursive: true });
  const list = join(cache, 'package.json');
  const wanted = readFileSync(join(here, 'package.json'), 'utf8');
  const installed = existsSync(join(cache, 'node_modules/webpack')) && readFileSync(list, 'utf8') === wanted;
  copyFileSync(join(here, 'package.json'), list);
  if (!installed) await must('npm', ['install', '--prefix', cache, '--no-audit', '--no-fund', '--no-package-lock']);
}

/** app.cjs and worker.cjs with the packages that npm has installed, and a stand-in for one store's SDK. */
async function installApplication(project, tarballs) {
  mkdirSync(project);
  for (const file of ['app.cjs', 'worker.cjs']) copyFileSync(join(here, file), join(project, file));
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, dependencies: { 'heapdump-rs': version } }));
  const registry = await startRegistry(tarballs);
  try {
    const settings = [`--registry=${registry.url}`, `--cache=${join(project, '.npm')}`, '--no-audit', '--no-fund'];
    await must('npm', ['install', '--prefix', project, ...settings]);
  } finally {
    await registry.close();
  }
  cpSync(join(here, 'storage'), join(project, 'node_modules/@google-cloud/storage'), { recursive: true });
}

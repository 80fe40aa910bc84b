// npm run test:exporters: the exporters with their vendors' SDKs against real servers, moto for S3, Azurite for Azure Blob
// Storage, gcp-storage-emulator for Google's. Installs them into .cache/exporters, half a gigabyte; needs python3 with venv.

import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { fetchNode } from '../../harness/nodes.mjs';
import { Problem, main, root, run } from '../../harness/run.mjs';

const here = join(root, '__test__/exporters');
const cache = join(root, '.cache/exporters');
const python = join(cache, 'python/bin/python');

await main(async () => {
  mkdirSync(cache, { recursive: true });
  if (changed('package.json')) await must('npm', 'install', '--prefix', cache, '--no-audit', '--no-fund', '--no-save');
  if (changed('requirements.txt')) {
    await must('python3', '-m', 'venv', join(cache, 'python'));
    await must(python, '-m', 'pip', 'install', '--quiet', '-r', join(here, 'requirements.txt'));
  }
  for (const file of ['requirements.txt', 'app.cjs']) copyFileSync(join(here, file), join(cache, file));

  // The SDKs of Azure and Google, and Azurite, want Node.js 22 or later.
  const node = Number(process.versions.node.split('.')[0]) >= 22 ? process.execPath : await fetchNode('24');
  const env = { ...process.env, EXPORTERS_CACHE: cache };
  delete env.NODE_TEST_CONTEXT;
  const { code } = await run(node, ['--test', '--test-reporter=spec', join(here, 'stores.test.mjs')], { env });
  process.exitCode = code;
});

/** Whether what is installed is older than that list; npm's is copied here, because npm reads it there. */
function changed(list) {
  const installed = join(cache, list);
  const same = existsSync(installed) && readFileSync(installed, 'utf8') === readFileSync(join(here, list), 'utf8');
  if (!same && list === 'package.json') copyFileSync(join(here, list), installed);
  return !same || (list === 'package.json' && !existsSync(join(cache, 'node_modules/azurite')));
}

async function must(command, ...args) {
  const { code, output } = await run(command, args, { capture: true });
  if (code !== 0) throw new Problem(`${command} ${args.join(' ')} failed:\n${output}`);
}

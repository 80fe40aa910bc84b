// npm run test:neighbours: beside the real packages that want the same signal or the same heap limit. Installs them into
// .cache/neighbours. `-- signal` runs only test files of such names.

import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { build } from '../../harness/build.mjs';
import { main, must, root, run } from '../../harness/run.mjs';

const here = join(root, '__test__/neighbours');
const cache = join(root, '.cache/neighbours');

await main(async () => {
  const only = process.argv.slice(2);
  await build();
  mkdirSync(cache, { recursive: true });
  const list = join(cache, 'package.json');
  const wanted = readFileSync(join(here, 'package.json'), 'utf8');
  const installed = existsSync(join(cache, 'node_modules/signal-exit')) && readFileSync(list, 'utf8') === wanted;
  copyFileSync(join(here, 'package.json'), list);
  // Without scripts: node-heapdump, of which the tests alone are wanted, would be compiled.
  const flags = ['--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts'];
  if (!installed) await must('npm', ['install', '--prefix', cache, ...flags]);

  const files = readdirSync(here)
    .filter((file) => file.endsWith('.test.mjs') && (only.length === 0 || only.some((part) => file.includes(part))))
    .map((file) => join(here, file));
  const env = { ...process.env, NEIGHBOURS: cache };
  delete env.NODE_TEST_CONTEXT;
  delete env.NODE_HEAPDUMP_OPTIONS;
  const { code } = await run(process.execPath, ['--test', '--test-reporter=spec', '--test-concurrency=1', ...files], { env });
  process.exitCode = files.length > 0 ? code : 1;
});

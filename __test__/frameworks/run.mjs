// npm run test:frameworks: heapdump-rs/http under Express, Fastify, Koa and Hono, with their types. Installs them into
// .cache/frameworks.

import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { Problem, main, root, run } from '../../harness/run.mjs';

const here = join(root, '__test__/frameworks');
const cache = join(root, '.cache/frameworks');

await main(async () => {
  mkdirSync(cache, { recursive: true });
  const list = join(cache, 'package.json');
  const wanted = readFileSync(join(here, 'package.json'), 'utf8');
  const installed = existsSync(join(cache, 'node_modules/koa')) && readFileSync(list, 'utf8') === wanted;
  copyFileSync(join(here, 'package.json'), list);
  if (!installed) await must('npm', 'install', '--prefix', cache, '--no-audit', '--no-fund', '--no-package-lock');
  for (const file of ['app.cjs', 'types.mts', 'tsconfig.json']) copyFileSync(join(here, file), join(cache, file));
  await must(process.execPath, join(root, 'node_modules/typescript/bin/tsc'), '--project', cache);

  const env = { ...process.env, FRAMEWORKS_CACHE: cache };
  delete env.NODE_TEST_CONTEXT;
  const { code } = await run(process.execPath, ['--test', '--test-reporter=spec', join(here, 'frameworks.test.mjs')], { env });
  process.exitCode = code;
});

async function must(command, ...args) {
  const { code, output } = await run(command, args, { capture: true });
  if (code !== 0) throw new Problem(`${command} ${args.join(' ')} failed:\n${output}`);
}

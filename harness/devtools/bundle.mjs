// Bundles DevTools' heap snapshot worker so that it runs in Node. Fetched once, into this folder.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, '../..');

/** The module with `HeapSnapshotLoader` and `SecondaryInitManager`. */
export async function devtoolsWorker() {
  const out = path.join(root, '.cache/devtools/worker.mjs');
  if (!fs.existsSync(out)) await bundle(out);
  return pathToFileURL(out).href;
}

async function bundle(out) {
  if (!fs.existsSync(path.join(here, 'node_modules/esbuild'))) {
    const options = ['--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];
    execFileSync('npm', ['install', ...options], { cwd: here, stdio: 'inherit' });
  }
  const { build } = await import('esbuild');
  const front = path.join(here, 'node_modules/chrome-devtools-frontend/front_end');
  const worker = path.join(front, 'entrypoints/heap_snapshot_worker');
  const noLocales = {
    name: 'no-locales',
    setup(b) {
      // Generated when Chrome is built, and of no use here.
      b.onResolve({ filter: /locales\.js$/ }, () => ({ path: 'locales', namespace: 'stub' }));
      b.onLoad({ filter: /.*/, namespace: 'stub' }, () => ({
        contents: "export const LOCALES = ['en-US']; export const BUNDLED_LOCALES = ['en-US'];\n" +
          "export const DEFAULT_LOCALE = 'en-US'; export const REMOTE_FETCH_PATTERN = '';\n" +
          "export const LOCAL_FETCH_PATTERN = '';",
      }));
    },
  };
  await build({
    stdin: {
      contents: `export {HeapSnapshotLoader} from './HeapSnapshotLoader.js';
        export {SecondaryInitManager} from './HeapSnapshot.js';`,
      resolveDir: worker,
      loader: 'ts',
    },
    outfile: out,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'error',
    plugins: [noLocales],
  });
}

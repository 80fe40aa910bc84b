// The viewer: viewer/src made one script and one style sheet, which the package has and every page contains.

import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { root } from './run.mjs';

const SOURCES = join(root, 'viewer/src');
export const BUILT = join(root, 'viewer/dist');
/** What is in the script besides our own, whose licences want to be with every copy. */
const PACKAGES = ['preact', 'd3-hierarchy'];

export function viewerIsUpToDate() {
  const files = readdirSync(SOURCES, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const changed = [...files.map((entry) => join(entry.parentPath ?? entry.path, entry.name)), join(root, 'package-lock.json')].map(modified);
  return Math.min(...['app.js', 'app.css'].map((name) => modified(join(BUILT, name)))) >= Math.max(...changed);
}

const modified = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** The same bytes for the same sources. */
export async function buildViewer() {
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: { app: join(SOURCES, 'main.tsx'), style: join(SOURCES, 'style.css') },
    outdir: BUILT,
    bundle: true,
    minify: true,
    write: false,
    format: 'iife',
    target: ['chrome111', 'firefox113', 'safari16.4'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    charset: 'utf8',
    tsconfigRaw: {},
  });
  const text = (end) => outputFiles.find(({ path }) => path.endsWith(end)).text;
  mkdirSync(BUILT, { recursive: true });
  writeFileSync(join(BUILT, 'app.js'), `${licences()}\n${text('app.js')}`);
  writeFileSync(join(BUILT, 'app.css'), text('style.css'));
}

function licences() {
  const of = (name) => `${name}\n\n${readFileSync(join(root, 'node_modules', name, 'LICENSE'), 'utf8').trim()}`;
  return `/*! heapdump-rs's viewer, and in it:\n\n${PACKAGES.map(of).join('\n\n')}\n*/`;
}

// Images to restore: of real processes, and of a few instructions.

import { execFileSync } from 'node:child_process';
import path from 'node:path';

import { ROOT, startApp } from './app.mjs';
import { HAS_IMAGES } from './images.mjs';

/** Whether images are restored here; says so in the report of `t` where they are not. */
export function restoresImages(t) {
  if (!HAS_IMAGES) t.diagnostic('not run: images are restored on linux-x64');
  return HAS_IMAGES;
}

/** An image of a program with `count` objects of a class `MarkOfImage`, as `file` with these options. */
export async function writeImage(t, file, options = {}) {
  const body = async ({ promises, fill, args }) => {
    fill(1000);
    class MarkOfImage {}
    globalThis.marks = Array.from({ length: 17 }, () => new MarkOfImage());
    const { path: written } = await promises.writeSnapshot(args.file, { output: 'image', ...args.options });
    return written;
  };
  return startApp(t, body, { args: { file, options } }).result();
}

/** An image of a process that `writes` its `text`, `sleeps` for ever, or `crashes`; see crates/heapimage-restore/examples. */
export function makeImage(kind, file, text = '') {
  const args = ['run', '--quiet', '-p', 'heapimage-restore', '--example', 'make_image', '--', kind, file];
  execFileSync('cargo', args, { cwd: ROOT, input: text, stdio: ['pipe', 'inherit', 'inherit'] });
}

/** The program that restores, and nothing else. */
export const restorer = () => path.join(ROOT, `heapimage-restore.linux-x64-${isMusl() ? 'musl' : 'gnu'}`);

/** And the one that captures from outside. */
export const tracer = () => path.join(ROOT, `heapimage-outside.linux-x64-${isMusl() ? 'musl' : 'gnu'}`);

const isMusl = () => process.report.getReport().header.glibcVersionRuntime === undefined;

// What pods, the job and the questions need: the SDK, a store, Spark; and the example's files beside them, as in an image.

import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import { Problem, must, root, run } from '../../harness/run.mjs';

const here = join(root, '__test__/fleet');
const example = join(root, 'examples/fleet');

/** Into .cache/fleet; says where the example's files are, and which Python has the rest. */
export async function install(quick) {
  const home = join(root, '.cache/fleet');
  const app = join(home, 'app');
  rmSync(app, { recursive: true, force: true });
  mkdirSync(app, { recursive: true });
  await Promise.all([installSdk(home), installPython(home, quick)]);
  for (const name of readdirSync(example)) copyFileSync(join(example, name), join(app, name));
  copyFileSync(join(here, 'shop.cjs'), join(app, 'shop.cjs'));
  const ours = join(home, 'node_modules/heapdump-rs');
  rmSync(ours, { force: true });
  symlinkSync(root, ours);
  return { app, python: join(home, 'venv/bin/python') };
}

async function installSdk(home) {
  if (isSame(home, 'package.json')) return;
  copyFileSync(join(here, 'package.json'), join(home, 'package.json'));
  await must('npm', ['install', '--prefix', home, '--no-audit', '--no-fund', '--silent', '--no-save']);
}

async function installPython(home, quick) {
  const python = join(home, 'venv/bin/python');
  if (!existsSync(python)) await must('python3', ['-m', 'venv', join(home, 'venv')]);
  for (const list of quick ? ['requirements.txt'] : ['requirements.txt', 'requirements-all.txt']) {
    if (isSame(home, list)) continue;
    await must(python, ['-m', 'pip', 'install', '--quiet', '-r', join(here, list)]);
    copyFileSync(join(here, list), join(home, list));
  }
  if (quick) return;
  const { code } = await run('java', ['-version'], { capture: true });
  if (code !== 0) throw new Problem('Spark needs a Java runtime, 17 or later: apt-get install default-jre-headless');
}

/** Whether what is installed is that list's. */
function isSame(home, list) {
  const installed = join(home, list);
  return existsSync(installed) && readFileSync(installed, 'utf8') === readFileSync(join(here, list), 'utf8');
}

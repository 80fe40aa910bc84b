// npm run build: the viewer and the addon, if they are older than their sources (or with --force). Says in plain words what is missing.

import { copyFileSync, readFileSync, readdirSync, renameSync, statSync, utimesSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { restorerArguments, restorerIsBuilt, tracerArguments } from './restorer.mjs';
import { Problem, dim, green, main, root, run, seconds } from './run.mjs';
import { buildViewer, viewerIsUpToDate } from './viewer.mjs';

/** Builds what is not up to date. Throws a Problem that says what to install. */
export async function build({ force = false } = {}) {
  checkNode();
  if (!installed()) await install();
  if (force || !viewerIsUpToDate()) await buildViewer();
  if (!force && upToDate()) return;
  await checkTools();
  const start = performance.now();
  console.log(`Building the addon (${dim('cargo, release; the first time takes about two minutes')}) …`);
  const napi = join(root, 'node_modules/@napi-rs/cli/dist/cli.js');
  const args = ['build', '--platform', '--release', '--no-js', '--dts', 'native.d.ts'];
  const { code, output } = await run(process.execPath, [napi, ...args], { capture: true });
  if (code !== 0) throw new Problem(`the addon does not build:\n${output}`);
  if (restorerIsBuilt()) await buildPrograms();
  // Cargo may have had nothing to do, and then the file keeps its age.
  for (const file of built()) utimesSync(file, new Date(), new Date());
  console.log(`${green('✓')} addon built in ${seconds(performance.now() - start)}`);
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 18 || (major === 18 && minor >= 17)) return;
  throw new Problem(`Node.js ${process.versions.node} is too old: 18.17 or later is needed, 20 or later is tested.`);
}

async function checkTools() {
  const missing = [];
  const wanted = /^rust-version = "([\d.]+)"/m.exec(readFileSync(join(root, 'Cargo.toml'), 'utf8'))[1];
  const rust = /^rustc (\d+)\.(\d+)/.exec((await run('rustc', ['--version'], { capture: true })).output);
  const cargo = await run('cargo', ['--version'], { capture: true });
  if (rust === null || cargo.code !== 0) {
    missing.push(
      `Rust ${wanted} or later (cargo and rustc): install it with rustup, see https://rustup.rs, and open a new` +
        ' shell so that cargo is on the PATH. (Debian 12 and Ubuntu 24.04 package older versions.)',
    );
  } else if (older(rust.slice(1), wanted.split('.'))) {
    missing.push(`Rust ${wanted} or later; here is ${rust[1]}.${rust[2]}. \`rustup update stable\` brings it.`);
  }
  if (!(await compilerWorks())) {
    missing.push('A C compiler and linker (cc): on Debian and Ubuntu `apt-get install build-essential`.');
  }
  if (missing.length === 0) return;
  throw new Problem(`heapdump-rs is built from source here, and this is missing:\n\n  • ${missing.join('\n  • ')}\n`);
}

const older = ([major, minor], [wantedMajor, wantedMinor]) =>
  Number(major) < Number(wantedMajor) || (Number(major) === Number(wantedMajor) && Number(minor) < Number(wantedMinor));

async function compilerWorks() {
  // Rust finds Microsoft's by itself, wherever it is.
  if (process.platform === 'win32') return true;
  const { code } = await run(process.env.CC ?? 'cc', ['--version'], { capture: true });
  return code === 0;
}

/** Whether node_modules holds what package-lock.json says. */
function installed() {
  const packagesOf = (file) => JSON.parse(readFileSync(join(root, file), 'utf8')).packages;
  try {
    const there = packagesOf('node_modules/.package-lock.json');
    return Object.entries(packagesOf('package-lock.json')).every(
      ([path, { optional, version }]) => path === '' || optional || there[path]?.version === version,
    );
  } catch {
    return false;
  }
}

async function install() {
  console.log(`Installing the development tools (${dim('npm ci')}) …`);
  const { code, output } = await run('npm', ['ci', '--no-audit', '--no-fund'], { capture: true });
  if (code === null) throw new Problem('npm is not on the PATH; it comes with Node.js.');
  if (code === 0) return;
  const reasons = output.split('\n').filter((line) => line.startsWith('npm error'));
  throw new Problem(`npm ci failed:\n${reasons.slice(0, 12).join('\n')}`);
}

function upToDate() {
  const addon = built();
  return addon.length > 0 && Math.min(...addon.map(modified)) >= Math.max(...sources().map(modified));
}

/** What was built for this platform, as far as it is there: the addon's binary, the restorer of heap images, the tracer. */
function built() {
  const files = addons();
  if (files.length === 0 || !restorerIsBuilt()) return files;
  return [...files, ...files.flatMap((addon) => PROGRAMS.map((program) => beside(addon, program)))];
}

function addons() {
  const name = new RegExp(`^heapdump-rs\\.${process.platform}-${process.arch}(-\\w+)?\\.node$`);
  return readdirSync(root).filter((file) => name.test(file)).map((file) => join(root, file));
}

const PROGRAMS = ['heapimage-restore', 'heapimage-outside'];

const beside = (addon, program) => addon.replace(/heapdump-rs(\.[\w-]+)\.node$/, `${program}$1`);

async function buildPrograms() {
  await buildProgram('heapimage-restore', restorerArguments(), 'restorer');
  await buildProgram('heapimage-outside', tracerArguments(), 'release');
}

/** By rename: the old one may be running. */
async function buildProgram(program, args, profile) {
  const { code, output } = await run('cargo', args, { capture: true });
  if (code !== 0) throw new Problem(`${program} does not build:\n${output}`);
  const file = join(resolve(root, process.env.CARGO_TARGET_DIR ?? 'target'), profile, program);
  for (const place of addons().map((addon) => beside(addon, program))) {
    copyFileSync(file, `${place}.tmp`);
    renameSync(`${place}.tmp`, place);
  }
}

function sources() {
  const files = ['Cargo.toml', 'Cargo.lock', 'build.rs'].map((file) => join(root, file));
  for (const directory of ['src', 'crates']) {
    for (const file of readdirSync(join(root, directory), { recursive: true })) {
      if (/\.(rs|toml|ld)$/.test(file)) files.push(join(root, directory, file));
    }
  }
  return files;
}

function modified(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(() => build({ force: process.argv.includes('--force') }));
}

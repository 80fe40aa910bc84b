// npm run build:all: the binaries that are published, into prebuilt/. `-- TARGET…` builds only some. With `--twice` each
// is built a second time, from a clone elsewhere, and must be the same.
//
// On Linux zig (PyPI) compiles and links for Linux and macOS, mingw for Windows; on macOS and Windows their own tools do.

import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { restorerArguments, restorerIsBuilt, tracerArguments } from '../harness/restorer.mjs';
import { Problem, bold, dim, green, main, must, root, run, seconds } from '../harness/run.mjs';
import { faultsOf, restorerFaults, tracerFaults } from './binaries.mjs';
import { PREBUILT, TARGETS, binaryOf, buildable, restorerOf, tracerOf } from './targets.mjs';

/** Two compilers make two binaries, so it is named here. */
const RUST = '1.95.0';

/** rustc links for this one with the lld that it brings. */
const RESTORER_TRIPLE = 'x86_64-unknown-linux-gnu';

/** Static, with a C library of its own: one for all of Linux. */
const TRACER_TRIPLE = 'x86_64-unknown-linux-musl';

const CROSS = join(root, '.cache/cross');

await main(async () => {
  const words = process.argv.slice(2);
  const twice = words.includes('--twice');
  const named = words.filter((word) => word !== '--twice');
  for (const name of named) {
    if (!buildable().includes(name)) throw new Problem(`${name} is none of those built here: ${buildable().join(', ')}`);
  }
  const names = named.length > 0 ? named : buildable();
  await prepare(names);
  mkdirSync(PREBUILT, { recursive: true });
  // Each for itself: a fault of one says nothing about the others, and is told while they are built.
  for (const name of names) await main(() => make(name, twice));
});

/** One binary, from its sources to prebuilt/. */
async function make(name, twice) {
  const start = performance.now();
  const file = await build(name, root);
  refuse(name, faultsOf(file, name, TARGETS[name]));
  const restorer = restorerIsBuilt(name) ? await buildRestorer(root) : undefined;
  const tracer = restorerIsBuilt(name) ? await buildTracer(root) : undefined;
  if (restorer !== undefined) refuse(name, [...restorerFaults(restorer), ...tracerFaults(tracer)]);
  if (twice) await buildElsewhere(name, file, restorer, tracer);
  keep(file, binaryOf(name));
  if (restorer !== undefined) keep(restorer, restorerOf(name));
  if (tracer !== undefined) keep(tracer, tracerOf(name));
  const { bytes, digest } = describe(binaryOf(name));
  const size = `${(bytes / 1024 / 1024).toFixed(2)} MB${twice ? ', twice the same' : ''}`;
  console.log(`${green('✓')} ${bold(name)} ${size}, sha256 ${digest} ${dim(seconds(performance.now() - start))}`);
}

/** Compilers and linkers that these targets need and that can be installed without asking. */
async function prepare(names) {
  const rustup = await run('rustup', ['--version'], { capture: true });
  if (rustup.code !== 0) throw new Problem('rustup is not on the PATH: see https://rustup.rs');
  const triples = names.map((name) => TARGETS[name].triple);
  if (names.some((name) => restorerIsBuilt(name))) triples.push(RESTORER_TRIPLE, TRACER_TRIPLE);
  await quietly('rustup', ['toolchain', 'install', RUST, '--profile', 'minimal', '--no-self-update']);
  await quietly('rustup', ['target', 'add', '--toolchain', RUST, ...triples]);
  if (names.some((name) => tool(name) === 'zig')) await installZig();
  if (names.some((name) => tool(name) === 'mingw')) {
    const { code } = await run('x86_64-w64-mingw32-gcc', ['--version'], { capture: true });
    if (code !== 0) throw new Problem('mingw is missing: on Debian and Ubuntu `apt-get install gcc-mingw-w64-x86-64`.');
    makeNodeStub();
  }
}

/** What builds a target on this system. */
function tool(name) {
  return process.platform === 'linux' ? TARGETS[name].by : 'cargo';
}

async function installZig() {
  const wanted = readFileSync(join(root, 'tools/cross/requirements.txt'), 'utf8');
  const installed = join(CROSS, 'requirements.txt');
  if (existsSync(installed) && readFileSync(installed, 'utf8') === wanted) return;
  console.log(`Installing zig and cargo-zigbuild (${dim('pip, into .cache/cross')}) …`);
  rmSync(CROSS, { recursive: true, force: true });
  await quietly('python3', ['-m', 'venv', CROSS]);
  const requirements = join(root, 'tools/cross/requirements.txt');
  await quietly(join(CROSS, 'bin/pip'), ['install', '--quiet', '--require-hashes', '-r', requirements]);
  writeFileSync(installed, wanted);
}

/**
 * napi's build script insists on a libnode.dll to link with for Windows-gnu. Nothing of it is used: napi looks its
 * functions up in the running process (its feature `dyn-symbols`). An archive without members satisfies the linker.
 */
function makeNodeStub() {
  mkdirSync(join(CROSS, 'node'), { recursive: true });
  writeFileSync(join(CROSS, 'node/libnode.dll'), '');
  writeFileSync(join(CROSS, 'node/libnode.dll.a'), '!<arch>\n');
}

/**
 * GNU ld puts imports in the order of the paths of their import libraries: mingw's and, with raw-dylib, those that rustc
 * writes beside its output. With mingw's found through a link beside them the order is the same wherever that is.
 */
async function linkMingw(output) {
  const library = await must('x86_64-w64-mingw32-gcc', ['-print-file-name=libkernel32.a']);
  const link = join(output, 'mingw');
  mkdirSync(output, { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(dirname(library.trim()), link);
  return [`-Lnative=${link}`];
}

/** Builds in `directory`; gives the file. */
async function build(name, directory) {
  const { triple, glibc } = TARGETS[name];
  const zig = tool(name) === 'zig';
  const output = join(directory, 'target/prebuilt');
  const args = [zig ? 'zigbuild' : 'build', '--release', '--locked', '--lib', '--manifest-path', join(directory, 'Cargo.toml')];
  args.push('--target', zig && glibc ? `${triple}.${glibc}` : triple, '--target-dir', output);
  const flags = tool(name) === 'mingw' ? await linkMingw(output) : [];
  console.log(dim(`cargo ${args.join(' ')}`));
  const { code, output: log } = await run('cargo', args, { capture: true, env: environment(name, directory, flags) });
  if (code !== 0) throw new Problem(`${name} does not build:\n${log}`);
  const warnings = log.match(/^warning: (?!`).*(\n.+)*/gm);
  if (warnings) console.log(warnings.join('\n\n'));
  const file = { linux: 'libheapdump_rs.so', darwin: 'libheapdump_rs.dylib', win32: 'heapdump_rs.dll' }[name.split('-')[0]];
  return join(output, triple, 'release', file);
}

/** The restorer of heap images, which is the same for glibc and musl: it has neither. lld, which rustup brings, links it. */
async function buildRestorer(directory) {
  const output = join(directory, 'target/prebuilt');
  const place = ['--manifest-path', join(directory, 'Cargo.toml'), '--target', RESTORER_TRIPLE, '--target-dir', output];
  const args = restorerArguments('--locked', ...place);
  const { code, output: log } = await run('cargo', args, { capture: true, env: environment('linux-x64-gnu', directory, []) });
  if (code !== 0) throw new Problem(`the restorer of heap images does not build:\n${log}`);
  return join(output, RESTORER_TRIPLE, 'restorer/heapimage-restore');
}

/** What captures a process from outside. zig links it, as the addon. */
async function buildTracer(directory) {
  const output = join(directory, 'target/prebuilt');
  const place = ['--manifest-path', join(directory, 'Cargo.toml'), '--target', TRACER_TRIPLE, '--target-dir', output];
  const [, ...args] = tracerArguments('--locked', ...place);
  const env = environment('linux-x64-gnu', directory, []);
  const { code, output: log } = await run('cargo', ['zigbuild', ...args], { capture: true, env });
  if (code !== 0) throw new Problem(`the tracer does not build:\n${log}`);
  return join(output, TRACER_TRIPLE, 'release/heapimage-outside');
}

/** Where this machine keeps its sources must not show in the binary, and nothing of its settings may. */
function environment(name, directory, more) {
  const { triple, flags = [] } = TARGETS[name];
  const cargoHome = process.env.CARGO_HOME ?? join(homedir(), '.cargo');
  const rustupHome = process.env.RUSTUP_HOME ?? join(homedir(), '.rustup');
  const places = { [rustupHome]: '/rustup', [cargoHome]: '/cargo', [directory]: '/heapdump-rs' };
  const remapped = Object.entries(places);
  const rust = [...remapped.map(([from, to]) => `--remap-path-prefix=${from}=${to}`), ...flags, ...more];
  const { CARGO_BUILD_RUSTFLAGS, CARGO_TARGET_DIR, RUSTFLAGS, ...inherited } = process.env;
  const env = {
    ...inherited,
    CARGO_ENCODED_RUSTFLAGS: rust.join('\x1f'),
    CARGO_INCREMENTAL: '0',
    // Rust's own for arm64. Zig's is the newest but a few.
    MACOSX_DEPLOYMENT_TARGET: '11.0',
    LIBNODE_PATH: join(CROSS, 'node'),
    PATH: `${join(CROSS, 'bin')}${process.platform === 'win32' ? ';' : ':'}${process.env.PATH}`,
    RUSTUP_TOOLCHAIN: RUST,
    SOURCE_DATE_EPOCH: '0',
  };
  if (!triple.endsWith('msvc')) {
    env[`CFLAGS_${triple.replaceAll('-', '_')}`] = remapped.map(([from, to]) => `-ffile-prefix-map=${from}=${to}`).join(' ');
  }
  return env;
}

async function buildElsewhere(name, ...given) {
  const firsts = given.filter((file) => file !== undefined);
  const directory = mkdtempSync(join(tmpdir(), 'heapdump-rs-'));
  try {
    for (const part of ['Cargo.toml', 'Cargo.lock', 'build.rs', 'src', 'crates']) {
      cpSync(join(root, part), join(directory, part), { recursive: true });
    }
    const seconds = [await build(name, directory)];
    if (restorerIsBuilt(name)) seconds.push(await buildRestorer(directory), await buildTracer(directory));
    const differing = seconds.findIndex((second, i) => !readFileSync(firsts[i]).equals(readFileSync(second)));
    if (differing < 0) return;
    const [first, second] = [firsts[differing], seconds[differing]];
    const [a, b] = [first, second].map((file, i) => join(PREBUILT, `differs-${i}.${name}.node`));
    cpSync(first, a);
    cpSync(second, b);
    throw new Problem(`${name} is not reproducible: compare ${a} and ${b}`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function refuse(name, faults) {
  if (faults.length > 0) throw new Problem(`${name}: ${faults.join('; ')}`);
}

/** By rename, because a process may have the old one mapped. */
function keep(file, place) {
  cpSync(file, `${place}.tmp`);
  renameSync(`${place}.tmp`, place);
}

function describe(file) {
  const bytes = readFileSync(file);
  return { bytes: bytes.length, digest: createHash('sha256').update(bytes).digest('hex') };
}

async function quietly(command, args) {
  const { code, output } = await run(command, args, { capture: true });
  if (code !== 0) throw new Problem(`${command} ${args.join(' ')} failed:\n${output}`);
}

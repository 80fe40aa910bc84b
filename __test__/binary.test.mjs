// Which binary is loaded, what is told where none is, and that the packages of npm/ agree with package.json.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { ROOT, startProgram } from './support/app.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';

const readJson = (...names) => JSON.parse(fs.readFileSync(path.join(ROOT, ...names), 'utf8'));

/** A package whose loader is ours and whose binaries are these: each a package's name and its JavaScript. */
function makeInstallation(t, binaries) {
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('lib'));
  for (const name of ['native.js', 'no-binary.js']) fs.copyFileSync(path.join(ROOT, 'lib', name), directory.at('lib', name));
  for (const [name, source] of Object.entries(binaries)) {
    fs.mkdirSync(directory.at('node_modules', name), { recursive: true });
    fs.writeFileSync(directory.at('node_modules', name, 'index.js'), source);
  }
  return directory;
}

/** Loads it as on that platform: what it threw, or the addon's `name`. */
async function load(t, directory, { platform, arch, versions = {}, flags = [] }) {
  const source = `
    Object.defineProperty(process, 'platform', { value: ${JSON.stringify(platform)} });
    Object.defineProperty(process, 'arch', { value: ${JSON.stringify(arch)} });
    const versions = { ...process.versions, ...${JSON.stringify(versions)} };
    Object.defineProperty(process, 'versions', { value: versions });
    try {
      console.log(JSON.stringify({ name: require('./lib/native.js').addon.name }));
    } catch ({ code, message }) {
      console.log(JSON.stringify({ code, message }));
    }`;
  const { stdout, stderr } = await startProgram(t, [process.execPath, ...flags, '-e', source], { cwd: directory.path }).ended();
  if (flags.length === 0) assert.equal(stderr, '');
  return JSON.parse(stdout);
}

const working = (name) => `exports.name = '${name}'; exports.Heap = class { flush() {} resume() {} };`;
const BROKEN = "throw Object.assign(new Error('libc.so.6: cannot open shared object file\\nRequire stack'), { code: 'ERR_DLOPEN_FAILED' });";

test('gnu or musl is what loads', async (t) => {
  const linux = { platform: 'linux', arch: 'arm64' };
  const gnu = 'heapdump-rs-linux-arm64-gnu';
  const musl = 'heapdump-rs-linux-arm64-musl';
  const name = async (binaries) => (await load(t, makeInstallation(t, binaries), linux)).name;
  assert.equal(await name({ [gnu]: working('gnu'), [musl]: BROKEN }), 'gnu');
  assert.equal(await name({ [gnu]: BROKEN, [musl]: working('musl') }), 'musl');
  assert.equal(await name({ [musl]: working('musl') }), 'musl');
});

test('the package of each platform', async (t) => {
  for (const name of Object.keys(readJson('package.json').optionalDependencies)) {
    const [platform, arch] = name.slice('heapdump-rs-'.length).split('-');
    const loaded = await load(t, makeInstallation(t, { [name]: working(name) }), { platform, arch });
    assert.deepEqual(loaded, { name });
  }
});

test('a binary that was built here comes before the installed one', async (t) => {
  const target = fs.readdirSync(ROOT).find((name) => name.endsWith('.node')).split('.')[1];
  const directory = makeInstallation(t, { [`heapdump-rs-${target}`]: working('installed') });
  fs.copyFileSync(path.join(ROOT, `heapdump-rs.${target}.node`), directory.at(`heapdump-rs.${target}.node`));
  assert.deepEqual(await load(t, directory, process), {});
  fs.writeFileSync(directory.at(`heapdump-rs.${target}.node`), 'no binary');
  assert.deepEqual(await load(t, directory, process), { name: 'installed' });
});

test('without the package: the platform, what was tried, how to install it', async (t) => {
  const { code, message } = await load(t, makeInstallation(t, {}), { platform: 'linux', arch: 'x64' });
  assert.equal(code, 'ERR_HEAPDUMP_NO_BINARY');
  assert.match(message, new RegExp(`no binary that loads on linux-x64 with Node\\.js ${process.versions.node}\\.`));
  for (const name of ['heapdump-rs-linux-x64-gnu', 'heapdump-rs-linux-x64-musl']) {
    assert.ok(message.includes(`  ${name}: Cannot find module '${name}'`), message);
  }
  assert.match(message, /--omit=optional/);
  assert.doesNotMatch(message, /does not load/);
});

const PERMISSION = Number(process.versions.node.split('.')[0]) < 22 ? '--experimental-permission' : '--permission';

for (const [flags, advice] of [
  [[PERMISSION, '--allow-fs-read=*'], / Node's permission model \(--permission\) allows no addons: start Node\.js with --allow-addons as well\n/],
  [['--no-addons'], /\. Addons are turned off: take --no-addons out of Node\.js' command line, NODE_OPTIONS or the worker's execArgv\n/],
  [[PERMISSION, '--allow-fs-read=*', '--allow-addons', '--no-addons'], /\. Addons are turned off: take --no-addons out/],
]) {
  test(`with ${flags.join(' ')}: which flag is in the way`, async (t) => {
    const [target] = fs.readdirSync(ROOT).filter((name) => name.endsWith('.node'));
    const directory = makeInstallation(t, {});
    fs.copyFileSync(path.join(ROOT, target), directory.at(target));
    const { code, message } = await load(t, directory, { platform: process.platform, arch: process.arch, flags });
    assert.equal(code, 'ERR_HEAPDUMP_NO_BINARY');
    assert.match(message, advice);
    assert.doesNotMatch(message, /Install again|does not load/);
  });
}

for (const [how, source] of [
  ['as an ES module', "throw new ReferenceError('require is not defined in ES module scope, you can use import instead')"],
  ['by esbuild, as an ES module', "throw new Error('Dynamic require of \"heapdump-rs-linux-x64-gnu\" is not supported')"],
  ['into a single executable', "throw Object.assign(new Error('No such built-in module'), { code: 'ERR_UNKNOWN_BUILTIN_MODULE' })"],
]) {
  test(`bundled ${how}: leave it outside`, async (t) => {
    const { message } = await load(t, makeInstallation(t, { 'heapdump-rs-linux-x64-gnu': source }), { platform: 'linux', arch: 'x64' });
    assert.match(message, /\. A bundler has made this program.*outside of the bundle.*docs\/bundlers\.md says how\nTried:\n/);
  });
}

test('a binary that does not load: the reason', async (t) => {
  const directory = makeInstallation(t, { 'heapdump-rs-linux-x64-gnu': BROKEN });
  const { code, message } = await load(t, directory, { platform: 'linux', arch: 'x64' });
  assert.equal(code, 'ERR_HEAPDUMP_NO_BINARY');
  assert.match(message, /heapdump-rs-linux-x64-gnu: libc\.so\.6: cannot open shared object file$/m);
  assert.match(message, /is there but does not load: it needs glibc 2\.17 or later, or musl 1\.2, and this very/);
  assert.doesNotMatch(message, /--omit=optional/);
});

test("a binary that does not load: no talk of another system's C library", async (t) => {
  for (const [name, platform, needs] of [
    ['heapdump-rs-win32-x64-msvc', 'win32', 'it needs Windows 10 or later and this very processor architecture.'],
    ['heapdump-rs-darwin-x64', 'darwin', 'it needs this very processor architecture.'],
  ]) {
    const { message } = await load(t, makeInstallation(t, { [name]: BROKEN }), { platform, arch: 'x64' });
    assert.ok(message.includes(needs), message);
  }
});

test('a platform that there is no binary for: those that there are', async (t) => {
  const { code, message } = await load(t, makeInstallation(t, {}), { platform: 'freebsd', arch: 'ppc64' });
  assert.equal(code, 'ERR_HEAPDUMP_NO_BINARY');
  assert.match(message, /no binary that loads on freebsd-ppc64/);
  for (const [, platform] of platforms()) assert.ok(message.includes(platform), message);
});

test('register and doctor say what to do, not only that there is none', async (t) => {
  const directory = makeTemporaryDirectory(t);
  for (const part of ['lib', 'bin']) fs.cpSync(path.join(ROOT, part), directory.at(part), { recursive: true });
  const run = (...words) => startProgram(t, [process.execPath, ...words], { cwd: directory.path }).ended();
  const { code, stderr } = await run('--require', directory.at('lib/register.js'), '-e', '');
  assert.equal(code, 0);
  assert.match(stderr, /^heapdump-rs: nothing is watched: heapdump-rs has no binary .* is not installed\. Install again .*\n$/);
  const { stdout } = await run(directory.at('bin/heapdump-rs.js'), 'doctor');
  assert.match(stdout, /fork .*has no binary .* is not installed\. Install again/);
});

test('another runtime is called by its name', async (t) => {
  const linux = { platform: 'linux', arch: 'x64' };
  for (const [versions, said] of [
    [{ bun: '1.2.3' }, 'with Bun 1.2.3.'],
    [{ deno: '2.3.4' }, 'with Deno 2.3.4.'],
    [{ electron: '40.0.0' }, 'with Electron 40.0.0.'],
  ]) {
    const { message } = await load(t, makeInstallation(t, {}), { ...linux, versions });
    assert.ok(message.includes(said), message);
  }
});

test('a runtime without libuv: a warning about the signal, no watcher, snapshots in process', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const source = `
    Object.defineProperty(process, 'versions', { value: { ...process.versions, bun: '1.2.3' } });
    const { heap } = require(${JSON.stringify(path.join(ROOT, 'lib/native.js'))});
    heap.installSignal = () => console.log('installed');
    heap.profilerUnavailable = () => 'no profiler';
    const v8 = require('node:v8');
    const { writeHeapSnapshot } = v8;
    v8.writeHeapSnapshot = (file, options) => {
      console.log(require('node:fs').lstatSync(file).mode.toString(8));
      return writeHeapSnapshot(file, options);
    };
    const { writeSnapshot } = require(${JSON.stringify(ROOT)});
    writeSnapshot('a.heapsnapshot', (error, filename, { mode, fallbackReason }) => {
      console.log(JSON.stringify({ error, filename, mode, fallbackReason }));
    });`;
  const run = (env) => startProgram(t, [process.execPath, '-e', source], { cwd: directory.path, env }).ended();
  const { stdout, stderr } = await run();
  const [mode, end] = stdout.split('\n');
  assert.equal(mode, '100600', 'the file is there, for its owner alone, before other runtimes write it by the umask');
  assert.deepEqual(JSON.parse(end), { error: null, filename: 'a.heapsnapshot', mode: 'inline', fallbackReason: 'no profiler' });
  await validateSnapshot(directory.at('a.heapsnapshot'));
  assert.deepEqual(directory.names(), ['a.heapsnapshot']);
  assert.match(stderr, /HeapdumpWarning: Bun 1\.2\.3 has no libuv to watch SIGUSR2 with/);
  assert.equal((await run({ NODE_HEAPDUMP_OPTIONS: 'nosignal' })).stderr, '');
});

/** Of each directory of npm/: its name and the platform in it. */
const platforms = () => fs.readdirSync(path.join(ROOT, 'npm')).map((name) => [name, name.split('-', 2).join('-')]);

test('the packages of npm/ are those of package.json, for the platform that their name says', () => {
  const main = readJson('package.json');
  const names = platforms().map(([name]) => `heapdump-rs-${name}`);
  assert.deepEqual(Object.keys(main.optionalDependencies).sort(), names.sort());
  assert.equal(main.napi.targets.length, names.length);
  for (const [name] of platforms()) {
    const [os, cpu, abi] = name.split('-');
    const binary = `heapdump-rs.${name}.node`;
    const expected = {
      name: `heapdump-rs-${name}`,
      version: main.optionalDependencies[`heapdump-rs-${name}`],
      os: [os],
      cpu: [cpu],
      libc: { gnu: ['glibc'], musl: ['musl'] }[abi],
      main: binary,
      // Images are restored, and processes captured from outside, on Linux x64.
      files: name.startsWith('linux-x64-') ? [binary, 'heapimage-restore', 'heapimage-outside'] : [binary],
      engines: main.engines,
      scripts: undefined,
    };
    const there = readJson('npm', name, 'package.json');
    for (const [key, value] of Object.entries(expected)) assert.deepEqual(there[key], value, `${name}: ${key}`);
    assert.equal(there.version, main.version);
  }
  for (const script of ['preinstall', 'install', 'postinstall']) assert.equal(main.scripts[script], undefined);
});

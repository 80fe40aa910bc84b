// The platforms that there are binaries for: what builds each, and where the result is kept.

import { join } from 'node:path';

import { root } from '../harness/run.mjs';

/** Without the linker's date; with the C runtime inside, because not every Windows has it. */
const MSVC = ['-Clink-arg=/Brepro', '-Ctarget-feature=+crt-static'];

/**
 * A library is named after the file that the linker writes, wherever that is, unless it is told a name. And zig's linker
 * hashes all it writes into LC_UUID, debugging information too, which has the path and time of each object file: left out
 * (-S), because rustc strips it only afterwards.
 */
const DARWIN = ['-Clink-arg=-Wl,-install_name,@rpath/heapdump-rs.node', '-Clink-arg=-Wl,-S'];

/**
 * By the part of the name that differs: `heapdump-rs-NAME` is the package, `heapdump-rs.NAME.node` the file in it.
 * `by`: 'zig' (cargo-zigbuild, on Linux), 'mingw' (on Linux), or the one system whose own tools build it.
 */
export const TARGETS = {
  'linux-x64-gnu': { triple: 'x86_64-unknown-linux-gnu', by: 'zig', glibc: '2.17' },
  'linux-arm64-gnu': { triple: 'aarch64-unknown-linux-gnu', by: 'zig', glibc: '2.17' },
  'linux-x64-musl': { triple: 'x86_64-unknown-linux-musl', by: 'zig', flags: ['-Ctarget-feature=-crt-static'] },
  'linux-arm64-musl': { triple: 'aarch64-unknown-linux-musl', by: 'zig', flags: ['-Ctarget-feature=-crt-static'] },
  'darwin-x64': { triple: 'x86_64-apple-darwin', by: 'zig', native: 'darwin', flags: DARWIN },
  'darwin-arm64': { triple: 'aarch64-apple-darwin', by: 'zig', native: 'darwin', flags: DARWIN },
  // For wine; what is published is built by Microsoft's linker.
  'win32-x64-gnu': { triple: 'x86_64-pc-windows-gnu', by: 'mingw', flags: ['-Clink-arg=-Wl,--no-insert-timestamp'] },
  'win32-x64-msvc': { triple: 'x86_64-pc-windows-msvc', by: 'win32', flags: MSVC },
  'win32-arm64-msvc': { triple: 'aarch64-pc-windows-msvc', by: 'win32', flags: MSVC },
};

/** Those that can be built on this system. */
export function buildable() {
  const { platform } = process;
  return Object.keys(TARGETS).filter((name) => {
    const { by, native } = TARGETS[name];
    return platform === 'linux' ? by === 'zig' || by === 'mingw' : (native ?? by) === platform;
  });
}

/** Where `npm run build:all` puts binaries and tools/pack.mjs takes them from. */
export const PREBUILT = join(root, 'prebuilt');

export const binaryOf = (name) => join(PREBUILT, `heapdump-rs.${name}.node`);

/** The restorer of heap images that goes with it, and the tracer. */
export const restorerOf = (name) => join(PREBUILT, `heapimage-restore.${name}`);
export const tracerOf = (name) => join(PREBUILT, `heapimage-outside.${name}`);

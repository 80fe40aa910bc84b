// What can be told of a binary by looking at it: its platform, its size, what it needs.

import { readFileSync } from 'node:fs';

/** So large may a binary be, in bytes. */
const LARGEST = 6 * 1024 * 1024;

/** What a binary of target `name` must not be or need: reasons, none when it is right. */
export function faultsOf(file, name, { glibc } = {}) {
  const bytes = readFileSync(file);
  const [os, cpu, abi] = name.split('-');
  const faults = [];
  if (bytes.length > LARGEST) faults.push(`${bytes.length} bytes, more than ${LARGEST}`);
  const machine = machineOf(bytes);
  if (machine !== `${os}-${cpu}`) faults.push(`a binary for ${machine}, not for ${os}-${cpu}`);
  if (!bytes.includes('napi_register_module_v1')) faults.push('no addon: it does not export napi_register_module_v1');
  if (os === 'linux' && bytes.includes('.symtab\0')) faults.push('not stripped');
  const needed = newestGlibc(bytes);
  if (abi === 'musl' && needed !== undefined) faults.push(`needs glibc ${needed}`);
  if (abi === 'gnu' && glibc && compare(needed ?? '0', glibc) > 0) faults.push(`needs glibc ${needed}, not ${glibc}`);
  const dll = abi === 'gnu' && os === 'win32' && /\blib(gcc|winpthread|stdc)[\w+-]*\.dll|\blibnode\.dll/i.exec(bytes.toString('latin1'));
  if (dll) faults.push(`needs ${dll[0]}`);
  return faults;
}

/** The same of the restorer of heap images: it must be in nobody's way, and need nobody (crates/heapimage-restore). */
export function restorerFaults(file) {
  const bytes = readFileSync(file);
  const faults = [];
  if (machineOf(bytes) !== 'linux-x64') return [`a binary for ${machineOf(bytes)}, not for linux-x64`];
  const [LOAD, DYNAMIC, INTERPRETER] = [1, 2, 3];
  const FLOOR = 4 << 20;
  for (let i = 0; i < bytes.readUInt16LE(56); i++) {
    const at = Number(bytes.readBigUInt64LE(32)) + i * bytes.readUInt16LE(54);
    const type = bytes.readUInt32LE(at);
    const end = Number(bytes.readBigUInt64LE(at + 16) + bytes.readBigUInt64LE(at + 40));
    if (type === DYNAMIC || type === INTERPRETER) faults.push('not static');
    if (type === LOAD && end > FLOOR) faults.push(`it reaches to 0x${end.toString(16)}, and is to end below 4 MiB`);
  }
  return faults;
}

/** And of the tracer, which runs with any C library: it has its own. */
export function tracerFaults(file) {
  const bytes = readFileSync(file);
  if (machineOf(bytes) !== 'linux-x64') return [`a binary for ${machineOf(bytes)}, not for linux-x64`];
  const INTERPRETER = 3;
  const types = Array.from({ length: bytes.readUInt16LE(56) }, (_, i) => bytes.readUInt32LE(Number(bytes.readBigUInt64LE(32)) + i * bytes.readUInt16LE(54)));
  return types.includes(INTERPRETER) ? ['not static'] : [];
}

/** The newest symbol version of glibc that it asks for. */
export function newestGlibc(bytes) {
  const versions = bytes.toString('latin1').match(/GLIBC_\d+\.\d+(?:\.\d+)?/g) ?? [];
  return versions.map((version) => version.slice('GLIBC_'.length)).sort(compare).at(-1);
}

/** Versions by their numbers. */
function compare(a, b) {
  const [x, y] = [a, b].map((version) => version.split('.').map(Number));
  for (let i = 0; i < Math.max(x.length, y.length); i++) {
    if ((x[i] ?? 0) !== (y[i] ?? 0)) return (x[i] ?? 0) - (y[i] ?? 0);
  }
  return 0;
}

/** "linux-x64" and so on, from the header of an ELF, Mach-O or PE file. */
function machineOf(bytes) {
  if (bytes.readUInt32BE(0) === 0x7f454c46) return `linux-${{ 62: 'x64', 183: 'arm64' }[bytes.readUInt16LE(18)]}`;
  if (bytes.readUInt32LE(0) === 0xfeedfacf) {
    return `darwin-${{ 0x01000007: 'x64', 0x0100000c: 'arm64' }[bytes.readUInt32LE(4)]}`;
  }
  if (bytes.toString('latin1', 0, 2) === 'MZ') {
    return `win32-${{ 0x8664: 'x64', 0xaa64: 'arm64' }[bytes.readUInt16LE(bytes.readUInt32LE(0x3c) + 4)]}`;
  }
  return 'nothing known';
}

// npm run test:platforms: the binaries of prebuilt/ (npm run build:all) at work on Node.js of their platform: musl, arm64
// under qemu, Windows under wine; and Bun and Deno. `-- NAME…` runs those whose names contain NAME. Debian or Ubuntu x64.
//
// `-- --here TARGET MODE` does the same with the Node.js that runs this, on any system: CI's runners for macOS and Windows.
//
// Each takes snapshots one after the other, which must be valid, and in the mode that the platform supports.

import { spawn } from 'node:child_process';
import { closeSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import limits from '../harness/limits.cjs';
import { fetchNode } from '../harness/nodes.mjs';
import { fetchPackage } from '../harness/packages.mjs';
import { Problem, bold, dim, green, main, red, root, seconds } from '../harness/run.mjs';
import { validateSnapshot } from '../harness/validate.mjs';
import { WINE_ENVIRONMENT, armNode, muslNode, windowsNode } from './platforms/emulators.mjs';
import { binaryOf } from './targets.mjs';

/** Forks of each where children are forked. */
const COUNT = 20;

const inProcess = { mode: 'inline', count: 3 };
const forked = { mode: 'fork', count: COUNT };

/** By title: the binary, what starts its Node.js, and what is expected. */
const PLATFORMS = {
  'linux-x64-gnu, Node.js 22': { target: 'linux-x64-gnu', start: async () => [await fetchNode('22.23.3')], ...forked },
  'linux-x64-gnu, Node.js 24': { target: 'linux-x64-gnu', start: async () => [await fetchNode('24.21.0')], ...forked },
  'linux-x64-musl, Node.js 22': {
    target: 'linux-x64-musl',
    start: () => muslNode('22.20.0', 'x86_64', 'd29705797b33bade62d79d8f106c2453c8a26442a9b2a5576610c0f7e7c351ed'),
    ...forked,
  },
  'linux-x64-musl, Node.js 24': {
    target: 'linux-x64-musl',
    start: () => muslNode('24.19.0', 'x86_64', '28d078b2ced9e2069516e652dc4b1380e7a1a7f2d3934eccd1611586d283ba4c'),
    ...forked,
  },
  'linux-arm64-gnu, Node.js 22': {
    target: 'linux-arm64-gnu',
    start: () => armNode('22.23.3', 'sha512-l3DAHZreylo+p9QXDtsOrjG2JXJqVzYXnAGmIQNOUNARcMppTO2cmewVQP+36tjJnSE+dzpMNtgW+c3oiDvXtA=='),
    ...forked,
  },
  'linux-arm64-gnu, Node.js 24': {
    target: 'linux-arm64-gnu',
    start: () => armNode('24.21.0', 'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g=='),
    ...forked,
  },
  'linux-arm64-musl, Node.js 22': {
    target: 'linux-arm64-musl',
    start: () => muslNode('22.20.0', 'aarch64', '3279eb1b99521f0d20a850bbfc0159a658e0e85b843b3cf31b090d7da9f10dfc'),
    ...forked,
  },
  'linux-arm64-musl, Node.js 24': {
    target: 'linux-arm64-musl',
    start: () => muslNode('24.19.0', 'aarch64', '352e048ab4dd35e7de5f338d1cc4fcbf77a0e93da30bf7336a8217ee246b31d7'),
    ...forked,
  },
  'win32-x64-gnu, Node.js 20': {
    target: 'win32-x64-gnu',
    start: () => windowsNode('20.20.2', 'sha512-JCwLL25UBIyiXLXUN6dfb/AMZTBtV5LUugV+DpurEn3uAM/GKm7Z/rgR4aV5Z76UHSbzK4n43ox6GTvsOAoNxA=='),
    env: WINE_ENVIRONMENT,
    ...inProcess,
  },
  'win32-x64-gnu, Node.js 22': {
    target: 'win32-x64-gnu',
    start: () => windowsNode('22.23.3', 'sha512-lJNBVsNw5Zf+VEHAwatmQxF8eY5hHVEd1ufVYn+5XVrSNB0x55V1cd/rJyOeElCnY2cRebGq//siePEGRZKYjg=='),
    env: WINE_ENVIRONMENT,
    ...inProcess,
  },
  'linux-x64-gnu, Bun': {
    target: 'linux-x64-gnu',
    start: async () => [
      join(
        await fetchPackage('@oven/bun-linux-x64', '1.4.5', 'sha512-IWX9BELoGHAUtMonkeSaNaZwXzRk+oDw6Mk+HBFXd3KHYIBNBsIGRupMZPcgNoDbJpLu6gAJjIoIVPZtt1aJ1g=='),
        'bin/bun',
      ),
    ],
    ...inProcess,
  },
  'linux-x64-gnu, Deno': {
    target: 'linux-x64-gnu',
    start: async () => [
      join(
        await fetchPackage('@deno/linux-x64-glibc', '2.9.6', 'sha512-3md4TKLCuzsLDmfOoC5KN7NAZaxSVkMgm64vg6foD00JBADCpYS2/5QqXfzgnP5ZQz3iLP9vBQJtEgc116OAoQ=='),
        'deno',
      ),
      'run',
      '--allow-all',
    ],
    ...inProcess,
  },
};

/** The package as it is installed: the binary beside the JavaScript that loads it. */
function install(target, project) {
  const directory = join(project, 'node_modules/heapdump-rs');
  mkdirSync(directory, { recursive: true });
  for (const part of ['package.json', 'index.js', 'lib', 'bin']) {
    cpSync(join(root, part), join(directory, part), { recursive: true });
  }
  copyFileSync(binaryOf(target), join(directory, `heapdump-rs.${target}.node`));
  copyFileSync(join(root, 'tools/platforms/program.cjs'), join(project, 'program.cjs'));
}

/** Lets it take its snapshots; gives a line that says how they were. Throws a Problem when one is not as expected. */
async function take({ target, start, env, mode, count }) {
  if (!existsSync(binaryOf(target))) throw new Problem(`there is no ${binaryOf(target)}: \`npm run build:all -- ${target}\``);
  const command = await start();
  const project = mkdtempSync(join(tmpdir(), 'heapdump-platform-'));
  try {
    install(target, project);
    const output = await runIn(project, [...command, 'program.cjs', 'heapdump-rs', String(count)], env);
    const reports = output.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
    if (reports.length !== count) throw new Problem(`${reports.length} snapshots of ${count}:\n${output}`);
    for (const { error, filename, ...report } of reports) {
      if (error) throw new Problem(error);
      if (report.mode !== mode) throw new Problem(`${report.mode} and not ${mode}: ${report.fallbackReason}`);
      const { nodes } = await validateSnapshot(join(project, filename));
      if (nodes !== report.nodes) throw new Problem(`${nodes} nodes in the file, ${report.nodes} in the report`);
    }
    return summary(reports);
  } finally {
    rmSync(project, { recursive: true, force: true });
  }
}

function summary(reports) {
  const most = (name) => Math.max(...reports.map((report) => report[name])).toFixed(1);
  const [{ mode, fallbackReason }] = reports;
  const again = reports.filter(({ attempts }) => attempts > 1);
  const reasons = [...new Set(again.flatMap(({ retryReasons }) => retryReasons))].join('; ');
  const retried = again.length > 0 ? `, ${again.length} only at another attempt (${reasons})` : '';
  const why = fallbackReason ? ` (${fallbackReason})` : '';
  return `${reports.length} valid, mode ${mode}${why}${retried}; pause at most ${most('pause')} ms, barrier ${most('barrierWait')} ms`;
}

/** Its output goes through a file: the sockets that Node.js makes for its children are nothing that wine knows. */
function runIn(cwd, [command, ...args], env = {}) {
  const { NODE_OPTIONS, NODE_HEAPDUMP_OPTIONS, ...inherited } = process.env;
  const file = join(cwd, 'output.txt');
  const output = openSync(file, 'w');
  return new Promise((resolve, reject) => {
    const stdio = ['ignore', output, output];
    const child = spawn(command, args, { cwd, env: { ...inherited, ...env }, stdio, timeout: limits.FILE });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      const text = readFileSync(file, 'utf8');
      if (code === 0) resolve(text);
      else reject(new Problem(`${command} ended with ${code ?? signal}:\n${text}`));
    });
  }).finally(() => closeSync(output));
}

await main(async () => {
  const words = process.argv.slice(2);
  if (words[0] === '--here') return show(`${words[1]}, ${process.version}`, platformHere(words[1], words[2]));
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new Problem('this needs Linux x64');
  const titles = Object.keys(PLATFORMS).filter((title) => words.length === 0 || words.some((word) => title.includes(word)));
  if (titles.length === 0) throw new Problem(`none of ${Object.keys(PLATFORMS).join('; ')}`);
  for (const title of titles) await show(title, PLATFORMS[title]);
});

function platformHere(target, mode) {
  const expected = { fork: forked, inline: inProcess }[mode];
  if (!target || !expected) throw new Problem('--here wants a target and a mode: linux-x64-gnu fork');
  return { target, start: async () => [process.execPath], ...expected };
}

async function show(title, platform) {
  const start = performance.now();
  try {
    const result = await take(platform);
    console.log(`${green('✓')} ${bold(title)}: ${result} ${dim(seconds(performance.now() - start))}`);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    console.log(`${red('✗')} ${bold(title)}: ${error.message}`);
    process.exitCode = 1;
  }
}

// npm run test:vm [-- MAJOR… --only yama,groups --keep]: what this machine's own kernel cannot show, in a virtual machine with
// Debian's kernel 6.1: heap images and core files there and from one kernel to the other, control groups of version 2, the levels
// of Yama. Needs Debian or Ubuntu on x64 with qemu-system-x86, busybox-static and e2fsprogs; no rights. Without /dev/kvm the
// processor is emulated, which takes an hour or more.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { build } from '../../harness/build.mjs';
import limits from '../../harness/limits.cjs';
import { NODES, fetchNode } from '../../harness/nodes.mjs';
import { bold, dim, main, must, root, seconds, yellow } from '../../harness/run.mjs';
import { writePair } from '../image/pair.mjs';
import { EMULATION_TIMES, boot, checkTools, copyOut, fetchKernel, hasKvm, makeDisk, makeInitrd } from './machine.mjs';
import { restoreAll } from './restored.mjs';
import { makeTree } from './tree.mjs';

/** Node.js runs them by their names: Yama comes last, whose last level stays until the machine ends. */
const PARTS = ['cores', 'groups', 'images', 'yama'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string', default: PARTS.join(',') }, keep: { type: 'boolean', default: false } },
});

const parts = PARTS.filter((part) => values.only.split(',').includes(part));

/** What the machine runs. */
function testsOf(parts) {
  const times = hasKvm() ? 1 : EMULATION_TIMES;
  const options = ['--test', '--test-reporter=spec', '--test-concurrency=1', `--test-timeout=${limits.FILE * times}`];
  return `NO_COLOR=1 HEAPDUMP_TEST_TIMES=${times} node ${options.join(' ')} ${parts.map((part) => `__test__/vm/inside/${part}.test.mjs`).join(' ')}`;
}

/** An image of this kernel's for each Node.js, which the other one is to restore. */
async function writeImages(nodes, directory) {
  // An emulated processor has no AVX-512 (docs/heap-images.md, Limits).
  if (!hasKvm()) process.env.GLIBC_TUNABLES = 'glibc.cpu.hwcaps=-AVX512F,-AVX512VL';
  // Where the files that they name were.
  writeFileSync(join(directory, 'root'), root);
  for (const { major, file } of nodes) {
    const at = (name) => join(directory, major, name);
    mkdirSync(join(directory, major), { recursive: true });
    const problem = await writePair(file, { where: 'main', megabytes: 1, image: at('a.heapimage'), plain: at('plain.heapsnapshot') });
    if (problem !== undefined) throw new Error(problem);
  }
}

/** Runs the tests, and says what the console says; whether all passed. */
async function runTests(machine) {
  let ended;
  const start = performance.now();
  await boot(machine, (line) => {
    ended = /^vm: ended with (\d+)$/.exec(line)?.[1] ?? ended;
    console.log(`  ${line}`);
  });
  console.log(dim(`the virtual machine ran for ${seconds(performance.now() - start)}`));
  return ended === '0';
}

await main(async () => {
  checkTools();
  await build();
  const kernel = await fetchKernel();
  const majors = positionals.length > 0 ? positionals : Object.keys(NODES).map((version) => version.split('.')[0]);
  const nodes = [];
  for (const major of majors) nodes.push({ major, file: await fetchNode(major) });
  const work = mkdtempSync(join(root, '.cache/vm/run-'));
  try {
    const tree = join(work, 'disk');
    makeTree(tree, { nodes, runner: majors.at(-1), command: testsOf(parts) });
    await writeImages(nodes, join(tree, 'in'));
    const machine = { kernel, initrd: makeInitrd(kernel, join(work, 'initrd')), disk: makeDisk(tree) };
    rmSync(tree, { recursive: true });
    const here = (await must('uname', ['-r'])).trim();
    console.log(bold(`Linux ${kernel.version} in a virtual machine, on ${here}`));
    if (!hasKvm()) console.log(yellow('there is no KVM for other kernels here: the processor is emulated, and everything takes many times as long'));
    if (!(await runTests(machine))) process.exitCode = 1;
    await restoreAll(nodes, copyOut(machine.disk, 'out', work));
  } finally {
    if (values.keep) console.log(dim(work));
    else rmSync(work, { recursive: true, force: true });
  }
});

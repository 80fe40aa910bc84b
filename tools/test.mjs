// npm test: everything, on the installed Node. `npm test -- NAME…` runs only the test files whose names contain NAME.

import { build } from '../harness/build.mjs';
import { bold, dim, green, main, red, run, seconds } from '../harness/run.mjs';
import { checkDocuments } from './documents.mjs';
import { runSuite } from './suite.mjs';
import { checkTypes } from './types.mjs';

const npx = (name, ...args) => ['npx', '--no-install', name, ...args];

/** Each a title and what it does: resolves with whether it passed; its output is shown when it did not. */
const CHECKS = [
  ['rustfmt', () => quietly('cargo', 'fmt', '--all', '--check')],
  ['clippy', () => quietly('cargo', 'clippy', '--workspace', '--all-targets', '--', '-D', 'warnings')],
  ['cargo test', () => quietly('cargo', 'test', '--workspace')],
  ['types', () => checkTypes()],
  ['documents', () => checkDocuments()],
  ['publint', () => quietly(...npx('publint', 'run', '--strict'))],
  // node10 is left out: its resolution knows no export maps, and Node.js has had them since version 12.
  ['are the types wrong?', () => quietly(...npx('attw', '--pack', '.', '--profile', 'node16', '--no-color'))],
];

async function quietly(command, ...args) {
  const { code, output } = await run(command, args, { capture: true });
  if (code === 0) return true;
  const missing = /is not installed for the toolchain|no such command/.test(output);
  console.log(output.trimEnd());
  if (missing) console.log('`rustup component add rustfmt clippy` brings what is missing.');
  return false;
}

await main(async () => {
  const only = process.argv.slice(2);
  await build();
  const results = [];
  const check = async (title, body) => {
    const start = performance.now();
    const passed = await body();
    results.push({ title, passed });
    console.log(`${passed ? green('✓') : red('✗')} ${title} ${dim(seconds(performance.now() - start))}`);
  };
  if (only.length === 0) for (const [title, body] of CHECKS) await check(title, body);
  await check(`tests on Node.js ${process.version}`, () => runSuite(process.execPath, only));

  const failed = results.filter(({ passed }) => !passed);
  if (failed.length > 0) {
    console.log(`\n${red(bold('Failed:'))} ${failed.map(({ title }) => title).join(', ')}`);
    process.exitCode = 1;
  }
  console.log(`\nchecks: ${results.length - failed.length} passed, ${failed.length} failed`);
});

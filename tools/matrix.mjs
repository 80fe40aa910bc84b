// npm run test:matrix: the suite on every supported Node.js. `-- 22 26` picks versions; other words pick test files; `--v8` leaves
// out those that are the same on all versions.

import { build } from '../harness/build.mjs';
import { NODES, fetchNode } from '../harness/nodes.mjs';
import { bold, dim, green, main, red, seconds } from '../harness/run.mjs';
import { ofV8, runSuite } from './suite.mjs';

await main(async () => {
  const words = process.argv.slice(2).filter((word) => word !== '--v8');
  const isWanted = process.argv.includes('--v8') ? ofV8 : undefined;
  const majors = words.filter((word) => /^\d+$/.test(word));
  const only = words.filter((word) => !/^\d+$/.test(word));
  const versions = Object.keys(NODES).filter(
    (version) => majors.length === 0 || majors.includes(version.split('.')[0]),
  );
  await build();
  const results = [];
  for (const version of versions) {
    const node = await fetchNode(version);
    const start = performance.now();
    console.log(`\n${bold(`Node.js ${version}`)}`);
    const passed = await runSuite(node, only, isWanted);
    results.push({ version, passed, time: performance.now() - start });
  }
  console.log();
  for (const { version, passed, time } of results) {
    console.log(`${passed ? green('✓') : red('✗')} Node.js ${version} ${dim(seconds(time))}`);
  }
  const failed = results.filter(({ passed }) => !passed).length;
  if (failed > 0) process.exitCode = 1;
  console.log(`\nversions: ${results.length - failed} passed, ${failed} failed`);
});

// npm run test:types: index.d.ts and lib/*.d.ts against __test__/types/, as strict as TypeScript gets; and the viewer's sources.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { root, run } from '../harness/run.mjs';

export async function checkTypes() {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  let passed = true;
  for (const project of ['__test__/types', 'viewer']) {
    const { code, output } = await run(process.execPath, [tsc, '--project', project], { capture: true });
    if (code === 0) continue;
    console.log(output.trimEnd());
    passed = false;
  }
  return passed;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exitCode = (await checkTypes()) ? 0 : 1;
}

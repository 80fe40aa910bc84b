// npm run test:types: index.d.ts and lib/*.d.ts against __test__/types/, as strict as TypeScript gets.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { root, run } from '../harness/run.mjs';

export async function checkTypes() {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const { code, output } = await run(process.execPath, [tsc, '--project', '__test__/types'], { capture: true });
  if (code !== 0) console.log(output.trimEnd());
  return code === 0;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exitCode = (await checkTypes()) ? 0 : 1;
}

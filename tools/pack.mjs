// The tarballs that are published: `node tools/pack.mjs DIRECTORY` packs the main package and a package for each binary in
// prebuilt/, all of which must be there unless `--partial` is given.

import { existsSync, mkdirSync } from 'node:fs';
import { resolve } from 'node:path';

import { pack, platforms } from '../harness/packed/tarballs.mjs';
import { restorerIsBuilt } from '../harness/restorer.mjs';
import { Problem, green, main } from '../harness/run.mjs';
import { faultsOf, restorerFaults, tracerFaults } from './binaries.mjs';
import { TARGETS, binaryOf, restorerOf, tracerOf } from './targets.mjs';

await main(async () => {
  const partial = process.argv.includes('--partial');
  const destination = resolve(process.argv.slice(2).find((word) => word !== '--partial') ?? 'packed');
  mkdirSync(destination, { recursive: true });
  const binaries = {};
  for (const name of platforms()) {
    const binary = binaryOf(name);
    if (!existsSync(binary) && partial) continue;
    if (!existsSync(binary)) throw new Problem(`${binary} is missing`);
    const faults = faultsOf(binary, name, TARGETS[name]);
    if (faults.length > 0) throw new Problem(`${binary}: ${faults.join('; ')}`);
    binaries[name] = { addon: binary };
    if (!restorerIsBuilt(name)) continue;
    Object.assign(binaries[name], { restorer: restorerOf(name), tracer: tracerOf(name) });
    for (const [program, faultsOfIt] of [[restorerOf(name), restorerFaults], [tracerOf(name), tracerFaults]]) {
      if (!existsSync(program)) throw new Problem(`${program} is missing`);
      const more = faultsOfIt(program);
      if (more.length > 0) throw new Problem(`${program}: ${more.join('; ')}`);
    }
  }
  for (const tarball of Object.values(await pack(binaries, destination))) console.log(`${green('✓')} ${tarball}`);
});

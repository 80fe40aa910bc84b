// `node tools/publish.mjs DIRECTORY`: publishes the tarballs that tools/pack.mjs made, with provenance, as
// .github/workflows/release.yml does. The platforms' packages go first, so that nobody meets a main package without them;
// what is published already is left out, so that a run that failed half-way can be repeated.

import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { Problem, green, main, run } from '../harness/run.mjs';
import { filesOf } from '../harness/packed/registry.mjs';

await main(async () => {
  const directory = resolve(process.argv[2] ?? 'packed');
  const packages = readdirSync(directory).filter((file) => file.endsWith('.tgz')).map((file) => read(join(directory, file)));
  const whole = packages.find(({ name }) => name === 'heapdump-rs');
  if (!whole) throw new Problem(`${directory} does not hold the main package`);
  const wanted = Object.entries(whole.optionalDependencies);
  for (const [name, version] of wanted) {
    if (!packages.some((one) => one.name === name && one.version === version)) throw new Problem(`${name}@${version} is missing`);
  }
  const ordered = [...packages.filter((one) => one !== whole), whole];
  for (const { name, version, file } of ordered) {
    const there = await run('npm', ['view', `${name}@${version}`, 'version'], { capture: true });
    if (there.code === 0 && there.output.includes(version)) {
      console.log(`${name}@${version} is published already`);
      continue;
    }
    const tag = version.includes('-') ? 'next' : 'latest';
    const { code } = await run('npm', ['publish', file, '--provenance', '--access', 'public', '--tag', tag]);
    if (code !== 0) throw new Problem(`${name}@${version} was not published`);
    console.log(`${green('✓')} ${name}@${version}`);
  }
});

function read(file) {
  return { ...JSON.parse(filesOf(readFileSync(file)).get('package/package.json')), file };
}

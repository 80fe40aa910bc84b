// npm run test:packed: what is published, as users meet it. The tarballs hold what they should; npm, pnpm and yarn install
// them into empty projects from a registry on this machine; CommonJS, ES modules, TypeScript and the command line use them.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

import { build } from '../harness/build.mjs';
import limits from '../harness/limits.cjs';
import { MANAGERS } from '../harness/packed/managers.mjs';
import { filesOf, startRegistry } from '../harness/packed/registry.mjs';
import { here, packHere, platforms } from '../harness/packed/tarballs.mjs';
import { restorerIsBuilt } from '../harness/restorer.mjs';
import { Problem, dim, green, main, root, seconds } from '../harness/run.mjs';
import { validateSnapshot } from '../harness/validate.mjs';

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

async function packAll(work) {
  const start = performance.now();
  const tarballs = await packHere(work);
  checkFiles(tarballs['heapdump-rs'], expectedFiles());
  for (const name of platforms()) {
    const programs = restorerIsBuilt(name) ? ['heapimage-restore', 'heapimage-outside'] : [];
    checkFiles(tarballs[`heapdump-rs-${name}`], ['LICENSE', 'README.md', 'package.json', `heapdump-rs.${name}.node`, ...programs]);
  }
  const took = dim(seconds(performance.now() - start));
  console.log(`${green('✓')} ${platforms().length + 1} tarballs hold what they should ${took}`);
  return Object.values(tarballs);
}

/** What users need: the entries and all that they load, types, the command line, three documents. */
function expectedFiles() {
  const lib = readdirSync(join(root, 'lib'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(js|d\.ts)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1).replaceAll('\\', '/'));
  return ['package.json', 'README.md', 'CHANGELOG.md', 'LICENSE', 'index.js', 'index.d.ts', 'bin/heapdump-rs.js', 'viewer/dist/app.js', 'viewer/dist/app.css', ...lib];
}

function checkFiles(tarball, expected) {
  const files = filesOf(readFileSync(tarball));
  const names = [...files.keys()].map((name) => name.slice('package/'.length)).sort();
  if (!isDeepStrictEqual(names, [...expected].sort())) {
    throw new Problem(`${basename(tarball)} holds ${names.join(' ')}\nexpected ${[...expected].sort().join(' ')}`);
  }
  const { exports = {}, bin = {}, main: entry, scripts = {} } = JSON.parse(files.get('package/package.json'));
  const targets = [entry, ...Object.values(exports).flatMap((value) => Object.values(value)), ...Object.values(bin)];
  for (const target of targets.filter((value) => value?.startsWith?.('./'))) {
    if (!names.includes(target.slice(2))) throw new Problem(`${basename(tarball)} names ${target} and does not hold it`);
  }
  const script = Object.keys(scripts).find((name) => /^(pre|post)?(install|prepare|pack|publish)$/.test(name));
  if (script) throw new Problem(`${basename(tarball)} has a script for ${script}`);
}

async function use(name, manager, tarballs, project) {
  const start = performance.now();
  const registry = await startRegistry(tarballs);
  try {
    mkdirSync(project);
    writeFileSync(join(project, 'package.json'), JSON.stringify(PROJECT));
    manager.prepare(project, registry.url);
    await run(await manager.install(), project);
    checkInstalled(name, manager, registry.requested, project);
  } finally {
    await registry.close();
  }
  await checkLeftAlone(name, manager, project);
  const node = await manager.node();
  for (const [file, source] of Object.entries(PROGRAMS)) {
    writeFileSync(join(project, file), source);
    await run([...node, file], project);
    await validateSnapshot(join(project, `${file}.heapsnapshot`));
  }
  if (!manager.pnp) {
    await useTypes(project);
    const cli = join(project, 'node_modules/heapdump-rs', manifest.bin['heapdump-rs']);
    await run([...node, cli, 'validate', 'a.cjs.heapsnapshot'], project);
  }
  console.log(`${green('✓')} ${name}: installed and used ${dim(seconds(performance.now() - start))}`);
}

/** Of the platforms' packages only this machine's. */
function checkInstalled(name, { fetchesAll, ignoresLibc }, requested, project) {
  const there = fetchesAll
    ? readdirSync(join(project, 'node_modules')).filter((file) => file.startsWith('heapdump-rs-'))
    : requested.map((file) => file.slice(0, -`-${manifest.version}.tgz`.length)).filter((file) => file.startsWith('heapdump-rs-'));
  const wanted = ignoresLibc ? `heapdump-rs-${process.platform}-${process.arch}` : `heapdump-rs-${here().name}`;
  const foreign = there.filter((file) => !file.startsWith(wanted));
  if (there.length === 0 || foreign.length > 0) throw new Problem(`${name} installed ${there.join(', ') || 'no binary'}`);
}

/** With the lines of an image's `NODE_OPTIONS` the manager itself is not watched: there would be a directory of its dumps. */
async function checkLeftAlone(name, manager, project) {
  const dumps = join(project, 'dumps');
  const NODE_OPTIONS = `--require ${JSON.stringify(join(root, 'lib/register.js'))}`;
  const install = await manager.install();
  await run([...install.slice(0, install.indexOf('install')), '--version'], project, { NODE_OPTIONS, NODE_HEAPDUMP_OPTIONS: `every=1d,dir=${dumps}` });
  if (existsSync(dumps)) throw new Problem(`${name} itself is watched by heapdump-rs/register`);
}

/**
 * Under its own name and, instead of node-heapdump, under that one: for the project by an alias, for a dependency that asks
 * for node-heapdump by what each manager has for that.
 */
const ALIAS = `npm:heapdump-rs@${manifest.version}`;
const PROJECT = {
  private: true,
  dependencies: { 'heapdump-rs': manifest.version, heapdump: ALIAS, 'old-service': '1.0.0' },
  overrides: { heapdump: '$heapdump' },
  pnpm: { overrides: { heapdump: ALIAS } },
  resolutions: { heapdump: ALIAS },
};

/** A package that was written for node-heapdump. */
async function packOldService(work) {
  const directory = join(work, 'old-service');
  mkdirSync(directory);
  const about = { name: 'old-service', version: '1.0.0', dependencies: { heapdump: '^0.3.15' } };
  writeFileSync(join(directory, 'package.json'), JSON.stringify(about));
  writeFileSync(join(directory, 'index.js'), "module.exports = require('heapdump');");
  await run(['npm', 'pack', '--silent'], directory);
  return join(directory, 'old-service-1.0.0.tgz');
}

/** Each writes a snapshot beside itself, named as itself. */
const PROGRAMS = {
  'a.cjs': `
    const heapdump = require('heapdump-rs');
    heapdump.writeSnapshot('a.cjs.heapsnapshot', (error, filename) => {
      if (error) throw error;
      if (filename !== 'a.cjs.heapsnapshot') throw new Error(filename);
    });
    require('heapdump-rs/oom');
    require('heapdump-rs/package.json');`,
  'b.mjs': `
    import heapdump, { getStatus } from 'heapdump-rs';
    import { writeSnapshot } from 'heapdump-rs/promises';
    import { open } from 'heapdump-rs/analyze';
    const { path, nodes } = await writeSnapshot('b.mjs.heapsnapshot');
    const analysis = await open(path);
    const { counts } = await analysis.statistics().then((statistics) => ({ counts: statistics }));
    analysis.close?.();
    if (!counts || !(nodes > 0) || getStatus().inProgress || heapdump.getStatus !== getStatus) throw new Error('wrong');`,
  'alias.cjs': `
    const heapdump = require('heapdump');
    require('heapdump/promises');
    require('old-service').writeSnapshot('alias.cjs.old', (error) => {
      if (error) throw error;
    });
    require('node:util').promisify(heapdump.writeSnapshot)('alias.cjs.heapsnapshot').then((filename) => {
      if (filename !== 'alias.cjs.heapsnapshot' || !require('node:fs').existsSync('alias.cjs.old')) throw new Error(filename);
    });`,
  'alias.mjs': `
    import { promisify } from 'node:util';
    import heapdump, { writeSnapshot } from 'heapdump';
    import * as all from 'heapdump';
    if (heapdump.writeSnapshot !== writeSnapshot || all.writeSnapshot !== writeSnapshot) throw new Error('wrong');
    const filename = await promisify(all.writeSnapshot)('alias.mjs.heapsnapshot');
    if (filename !== 'alias.mjs.heapsnapshot') throw new Error(filename);`,
};

/** Strict TypeScript, as an ES module and as CommonJS, compiled and run. */
async function useTypes(project) {
  const source = (file) => `
    import { writeSnapshot } from 'heapdump-rs/promises';
    import { writeSnapshotSync, type SnapshotReport } from 'heapdump-rs';
    const report: SnapshotReport = writeSnapshotSync('${file}.first.heapsnapshot');
    void writeSnapshot('${file}.heapsnapshot').then(({ nodes, mode }) => {
      const both: [number, 'fork' | 'inline'] = [nodes - report.nodes, mode];
      if (Number.isNaN(both[0])) throw new Error('wrong');
    });`;
  for (const file of ['c.mts', 'd.cts']) writeFileSync(join(project, file), source(file));
  for (const [file, imported] of Object.entries(ALIASED)) {
    writeFileSync(
      join(project, file),
      `import { promisify } from 'node:util';
       ${imported}
       const done: Promise<string> = promisify(heapdump.writeSnapshot)('${file}.heapsnapshot');
       void done;
       export {};`,
    );
  }
  const compilerOptions = {
    target: 'es2022',
    module: 'nodenext',
    strict: true,
    skipLibCheck: false,
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
  };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['c.mts', 'd.cts', ...Object.keys(ALIASED)] }));
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  await run([process.execPath, tsc, '-p', 'tsconfig.json'], project);
  for (const source of ['c.mts', 'd.cts', ...Object.keys(ALIASED)]) {
    await run([process.execPath, source.replace(/ts$/, 'js')], project);
    await validateSnapshot(join(project, `${source}.heapsnapshot`));
  }
}

/** The ways to import it that code for node-heapdump has. */
const ALIASED = {
  'default.mts': "import heapdump from 'heapdump';",
  'namespace.mts': "import * as heapdump from 'heapdump';",
  'default.cts': "import heapdump from 'heapdump';",
  'namespace.cts': "import * as heapdump from 'heapdump';",
  'require.cts': "import heapdump = require('heapdump');",
};

/** Runs a command in a project; its environment has nothing of the npm that started us. */
function run([command, ...args], cwd, more) {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_|COREPACK)/i.test(name));
  const env = { ...Object.fromEntries(inherited), ...more };
  return new Promise((resolve, reject) => {
    const shell = process.platform === 'win32' && command === 'npm';
    const child = spawn(command, args, { cwd, env, shell, stdio: ['ignore', 'pipe', 'pipe'], timeout: limits.FILE });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(output);
      else reject(new Problem(`${command} ${args.join(' ')} ended with ${code ?? signal}:\n${output}`));
    });
  });
}

await main(async () => {
  await build();
  const work = mkdtempSync(join(tmpdir(), 'heapdump-packed-'));
  try {
    const tarballs = [...(await packAll(work)), await packOldService(work)];
    const projects = Object.entries(MANAGERS).map(([name, manager]) => [name, manager, tarballs, join(work, name.replace(' ', ''))]);
    // All are waited for, so that none works in a directory that is being removed.
    const results = await Promise.allSettled(projects.map((project) => use(...project)));
    for (const { reason } of results) if (reason) throw reason;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
});

// A single executable application: by postject on Node.js 20, by `node --build-sea` on 26. Its `require` knows built-in modules
// alone, and nothing can be loaded from inside of the executable.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { NODES, fetchNode } from '../../harness/nodes.mjs';
import { makeTemporaryDirectory } from '../support/files.mjs';
import { APP, MODULES, execute, load, takesASnapshot } from './application.mjs';

const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
const skip = process.platform !== 'linux' && 'other versions of Node.js are fetched for Linux alone';

const MAKE = {
  20: async (node, directory) => {
    const configuration = { main: 'main.cjs', output: 'blob', disableExperimentalSEAWarning: true };
    fs.writeFileSync(directory.at('sea.json'), JSON.stringify(configuration));
    await succeed(directory, node, '--experimental-sea-config', 'sea.json');
    fs.copyFileSync(node, directory.at('made'));
    const postject = load.resolve('postject/dist/cli.js');
    await succeed(directory, process.execPath, postject, 'made', 'NODE_SEA_BLOB', 'blob', '--sentinel-fuse', FUSE);
  },
  26: async (node, directory) => {
    const configuration = { main: 'main.cjs', output: 'made', disableExperimentalSEAWarning: true };
    fs.writeFileSync(directory.at('sea.json'), JSON.stringify(configuration));
    await succeed(directory, node, '--build-sea', 'sea.json');
  },
};

async function succeed(directory, ...command) {
  const { code, stdout, stderr } = await execute(directory.path, ...command);
  assert.equal(code, 0, stdout + stderr);
}

/** An executable of worker.cjs. */
async function make(t, major, esbuildOptions) {
  const directory = makeTemporaryDirectory(t);
  const options = { bundle: true, platform: 'node', outdir: directory.path, outExtension: { '.js': '.cjs' }, logLevel: 'silent' };
  await load('esbuild').build({ entryPoints: { main: path.join(APP, 'worker.cjs') }, ...options, ...esbuildOptions });
  const version = Object.keys(NODES).find((each) => each.startsWith(`${major}.`));
  await MAKE[major](await fetchNode(version), directory);
  fs.rmSync(directory.at('main.cjs'));
  return directory;
}

/** A `require` of files, relative to the executable. */
const banner = { js: "require = require('node:module').createRequire(process.execPath);" };

for (const major of Object.keys(MAKE)) {
  test(`Node.js ${major}: bundled, with the binary beside the executable`, { skip }, async (t) => {
    const directory = await make(t, major, { loader: { '.node': 'copy' }, banner });
    await takesASnapshot(t, directory.at('made'));
  });
}

test('with node_modules beside the executable', { skip }, async (t) => {
  const directory = await make(t, 26, { packages: 'external', banner });
  fs.cpSync(MODULES, directory.at('node_modules'), { recursive: true });
  await takesASnapshot(t, directory.at('made'));
});

test('without a require of files the error says what to do', { skip }, async (t) => {
  const directory = await make(t, 26, { loader: { '.node': 'copy' } });
  const { code, stderr } = await execute(directory.path, directory.at('made'), directory.path);
  assert.equal(code, 1);
  assert.match(stderr, /heapdump-rs has no binary that loads on .* A bundler has made this program.*bundlers\.md/);
});

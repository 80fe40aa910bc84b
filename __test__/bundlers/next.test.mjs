// A Next.js standalone server, with a route and instrumentation.ts, installed by npm and by pnpm. It runs with the project's own
// node_modules moved away.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { MANAGERS } from '../../harness/packed/managers.mjs';
import { startRegistry } from '../../harness/packed/registry.mjs';
import { validateSnapshot } from '../../harness/validate.mjs';
import { ROOT, startProgram } from '../support/app.mjs';
import { makeTemporaryDirectory } from '../support/files.mjs';
import { execute } from './application.mjs';

const { version } = JSON.parse(fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8'));

for (const name of ['npm', 'pnpm']) {
  test(`Next.js standalone, installed by ${name}`, { timeout: 1_800_000 }, async (t) => {
    const project = makeTemporaryDirectory(t);
    await install(name, project);
    const { code, stdout, stderr } = await inProject(project, process.execPath, 'node_modules/next/dist/bin/next', 'build');
    assert.equal(code, 0, stdout + stderr);
    fs.renameSync(project.at('node_modules'), project.at('gone'));
    await serves(t, project);
    const copy = project.at('.next/standalone/node_modules/heapdump-rs');
    const { stdout: found } = await execute(project.path, process.execPath, '--require', `${copy}/lib/register.js`, `${copy}/bin/heapdump-rs.js`, 'doctor');
    assert.match(found, /a child took a snapshot|snapshots are taken in process/);
  });
}

async function install(name, project) {
  fs.cpSync(path.join(ROOT, '__test__/bundlers/next'), project.path, { recursive: true });
  const list = JSON.parse(fs.readFileSync(project.at('package.json'), 'utf8'));
  list.dependencies['heapdump-rs'] = version;
  fs.writeFileSync(project.at('package.json'), JSON.stringify(list));
  const upstream = (await execute(ROOT, 'npm', 'config', 'get', 'registry')).stdout.trim().replace(/\/?$/, '/');
  const registry = await startRegistry(JSON.parse(process.env.BUNDLERS_TARBALLS), upstream);
  try {
    MANAGERS[name].prepare(project.path, registry.url);
    // Next.js itself may stay where it was fetched to.
    const settings = fs.readFileSync(project.at('.npmrc'), 'utf8').split('\n').filter((line) => !/^(cache|store-dir)=/.test(line));
    fs.writeFileSync(project.at('.npmrc'), settings.join('\n'));
    const { code, stdout, stderr } = await inProject(project, ...(await MANAGERS[name].install()), '--ignore-scripts');
    assert.equal(code, 0, stdout + stderr);
  } finally {
    await registry.close();
  }
}

const inProject = (project, ...command) => execute(project.path, 'env', 'NEXT_TELEMETRY_DISABLED=1', ...command);

async function serves(t, project) {
  const directory = makeTemporaryDirectory(t);
  const port = await freePort();
  const env = { DUMPS: directory.path, PORT: String(port), HOSTNAME: '127.0.0.1' };
  const server = startProgram(t, [process.execPath, project.at('.next/standalone/server.js')], { cwd: directory.path, env });
  const mode = process.platform === 'linux' ? 'fork' : 'inline';
  const route = await post(`http://127.0.0.1:${port}/dump`);
  assert.equal(route.mode, mode);
  await validateSnapshot(route.path);
  const [, file] = await server.says(new RegExp(`^monitor: ${mode} (.*)$`, 'm'));
  await validateSnapshot(file);
}

/** As soon as it listens. */
async function post(url) {
  for (let left = 600; ; left--) {
    try {
      const response = await fetch(url, { method: 'POST' });
      return await response.json();
    } catch (error) {
      if (left === 0) throw error;
    }
    await delay(100);
  }
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

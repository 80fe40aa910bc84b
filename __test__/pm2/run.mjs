// npm run test:pm2: what docs/pm2.md says, with the real PM2 and nodemon. Installs into .cache/pm2; PM2's daemon is one of
// its own, in a temporary directory, and ends with the test.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';

import { Problem, bold, main, root, run, step } from '../../harness/run.mjs';
import { validateSnapshot } from '../../harness/validate.mjs';
import { childrenOf, isRunning, processInfo, waitFor } from '../support/processes.mjs';

const TOOLS = ['pm2@7.0.4', 'nodemon@3.1.14'];
const CACHE = join(root, '.cache/pm2');
const BIN = join(root, 'bin/heapdump-rs.js');
const DUMP = /^heapdump-\d+\.\d+\.heapsnapshot$/;

const APP = `
  globalThis.kept = Array.from({ length: Number(process.env.OBJECTS ?? 0) }, (_, i) => ({ i, text: 'text ' + i }));
  require('node:fs').writeFileSync('pid', String(process.pid));
  setInterval(() => {}, 1000);
`;
/** The guide's ecosystem.config.js, as it stands there. */
const GUIDE = `
module.exports = {
  apps: [{
    name: 'my-app',
    script: 'app.js',
    node_args: '--inspect --heapsnapshot-signal=SIGUSR2',
    env: {
      NODE_ENV: 'production',
      HEAP_SNAPSHOT_DIR: './heap-snapshots'
    }
  }]
};
`;

await main(async () => {
  if (!TOOLS.every((name) => fs.existsSync(join(CACHE, 'node_modules', name.split('@')[0])))) await install();
  const ours = /```js\n(\/\/ ecosystem\.config\.js\n[^]*?)```/.exec(
    fs.readFileSync(join(root, 'docs/pm2.md'), 'utf8'),
  )[1];
  console.log(bold(TOOLS.join(', ')));
  await step('docs/pm2.md: the signal, node-snapshot, doctor', () => underPm2(ours, APP, testSignal));
  await step('docs/pm2.md: a restart lets a dump be completed', () =>
    underPm2(ours, APP, testRestart, { OBJECTS: '400000' }),
  );
  await step('docs/pm2.md: cluster mode', () =>
    underPm2(
      ours.replace("node_args: '--require heapdump-rs',", "exec_mode: 'cluster',\n    instances: 2,"),
      `require('heapdump-rs');${APP}`,
      testCluster,
    ),
  );
  await step("the guide's ecosystem.config.js, unchanged", () =>
    underPm2(GUIDE, `require('heapdump-rs');${APP}`, testGuide),
  );
  await step('nodemon --signal SIGTERM restarts, and SIGUSR2 dumps', () =>
    testNodemon(['--signal', 'SIGTERM'], {}, 'SIGUSR2'),
  );
  await step('NODE_HEAPDUMP_OPTIONS=signal=SIGHUP under nodemon', () =>
    testNodemon([], { NODE_HEAPDUMP_OPTIONS: 'signal=SIGHUP' }, 'SIGHUP'),
  );
});

async function install() {
  fs.mkdirSync(CACHE, { recursive: true });
  fs.writeFileSync(join(CACHE, 'package.json'), '{ "private": true }\n');
  const { code, output } = await run(
    'npm',
    ['install', '--prefix', CACHE, '--no-audit', '--no-fund', '--silent', ...TOOLS],
    { capture: true },
  );
  if (code !== 0) throw new Problem(`npm install ${TOOLS.join(' ')} failed:\n${output}`);
}

async function withApp(source, body) {
  const directory = fs.mkdtempSync(join(os.tmpdir(), 'heapdump-pm2-'));
  try {
    fs.writeFileSync(join(directory, 'app.js'), source);
    fs.mkdirSync(join(directory, 'node_modules'));
    fs.symlinkSync(root, join(directory, 'node_modules/heapdump-rs'));
    fs.mkdirSync(join(directory, 'heap-snapshots'));
    await body(directory);
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

function underPm2(config, source, body, more = {}) {
  return withApp(source, async (directory) => {
    fs.writeFileSync(join(directory, 'ecosystem.config.js'), config);
    const env = { ...process.env, ...more, PM2_HOME: join(directory, '.pm2') };
    const pm2 = (...args) =>
      execute(process.execPath, [join(CACHE, 'node_modules/pm2/bin/pm2'), ...args], directory, env);
    try {
      await pm2('start', 'ecosystem.config.js');
      await body({ directory, pm2, pids: async () => (await pm2('pid', 'my-app')).trim().split(/\s+/).map(Number) });
    } finally {
      await pm2('kill');
    }
  });
}

function execute(file, args, cwd, env = process.env) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text) => (output += text));
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve(output) : reject(new Error(`${args.join(' ')} ended with ${code}\n${output}`)),
    );
  });
}

function dumpsIn(directory) {
  return fs.readdirSync(directory).filter((name) => name.includes('heapdump-'));
}

/** Exactly so many whole dumps come to be. */
async function dumps(directory, count) {
  const names = await waitFor(`${count} dumps in ${directory}`, () => {
    const all = dumpsIn(directory);
    return all.length >= count && all.every((name) => DUMP.test(name)) && all;
  });
  assert.equal(names.length, count);
  for (const name of names) await validateSnapshot(join(directory, name));
  return names;
}

/** Its pid, once it runs. */
function ready(directory) {
  return waitFor(
    'the application',
    () => fs.existsSync(join(directory, 'pid')) && Number(fs.readFileSync(join(directory, 'pid'), 'utf8')),
  );
}

async function testSignal({ directory, pm2, pids }) {
  await ready(directory);
  const [pid] = await pids();
  await pm2('sendSignal', 'SIGUSR2', 'my-app');
  await dumps(join(directory, 'heap-snapshots'), 1);
  await execute(
    process.execPath,
    [BIN, 'node-snapshot', '--pid', `${pid}`, '--output', 'my-app.heapsnapshot.gz'],
    directory,
  );
  await validateSnapshot(join(directory, 'my-app.heapsnapshot.gz'));
  assert.equal(dumpsIn(join(directory, 'heap-snapshots')).length, 1);
  const said = await execute(process.execPath, [BIN, 'doctor', '--pid', `${pid}`], directory);
  assert.match(said, /✓ signal +SIGUSR2 dumps \(pm2 sendSignal SIGUSR2 my-app\)/);
  assert.deepEqual(await pids(), [pid]);
}

async function testRestart({ directory, pm2 }) {
  const pid = await ready(directory);
  const app = processInfo(pid);
  await pm2('sendSignal', 'SIGUSR2', 'my-app');
  const child = await waitFor('the child', () => childrenOf(pid).find(({ name }) => name === 'heapdump'));
  await pm2('restart', 'my-app');
  assert.ok(!isRunning(app));
  await waitFor('the child has ended', () => !isRunning(child));
  await dumps(join(directory, 'heap-snapshots'), 1);
}

async function testCluster({ directory, pm2, pids }) {
  await ready(directory);
  const all = await pids();
  assert.equal(all.length, 2);
  for (const pid of all)
    await waitFor('both have loaded it', () => fs.readFileSync(`/proc/${pid}/maps`, 'utf8').includes('heapdump-rs.'));
  await pm2('sendSignal', 'SIGUSR2', 'my-app');
  await dumps(join(directory, 'heap-snapshots'), 2);
  assert.deepEqual(await pids(), all);
}

async function testGuide({ directory, pm2, pids }) {
  await ready(directory);
  const before = await pids();
  await pm2('sendSignal', 'SIGUSR2', 'my-app');
  await dumps(directory, 1);
  // Node's own would be called Heap.<date>….
  assert.deepEqual(
    fs.readdirSync(directory).filter((name) => /heapsnapshot/.test(name) && !DUMP.test(name)),
    [],
  );
  assert.deepEqual(await pids(), before);
}

function testNodemon(options, more, signal) {
  return withApp(`require('heapdump-rs');${APP}`, async (directory) => {
    const nodemon = spawn(
      process.execPath,
      [join(CACHE, 'node_modules/nodemon/bin/nodemon.js'), ...options, '--watch', 'app.js', 'app.js'],
      {
        cwd: directory,
        env: { ...process.env, ...more },
        stdio: 'ignore',
      },
    );
    const ended = new Promise((resolve) => nodemon.once('exit', resolve));
    let pid;
    try {
      pid = await ready(directory);
      process.kill(pid, signal);
      await dumps(directory, 1);
      const first = processInfo(pid);
      fs.writeFileSync(join(directory, 'app.js'), `${fs.readFileSync(join(directory, 'app.js'), 'utf8')}\n`);
      await waitFor('a restart', async () => (await ready(directory)) !== pid);
      assert.ok(!isRunning(first));
      assert.equal(dumpsIn(directory).length, 1);
      pid = await ready(directory);
    } finally {
      nodemon.kill('SIGTERM');
      await ended;
      if (pid !== undefined && processInfo(pid)) process.kill(pid, 'SIGKILL');
    }
  });
}

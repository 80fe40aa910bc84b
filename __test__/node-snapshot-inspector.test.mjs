// npx heapdump-rs node-snapshot --pid of a process whose inspector others could reach: it is not opened, or closed at once.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { NODE_MAJOR, startApp, startProgram } from './support/app.mjs';
import { runCommand } from './support/command.mjs';
import { needsRoot, needsTool } from './support/faults.mjs';
import { makeTemporaryDirectory } from './support/files.mjs';
import { isRunning, processInfo, waitFor } from './support/processes.mjs';

const require = createRequire(import.meta.url);
const { Target } = require('../lib/cli/processes.js');
const { inspectorPort, isLoopback } = require('../lib/cli/inspector-port.js');
const { isAsStarted, mayBeOptions, splitNodeOptions } = require('../lib/cli/command-line.js');
const { Tree } = require('../lib/cli/tree.js');
const { isSingleApplication } = require('../lib/cli/executable.js');

/** An application of its own, since children/host.cjs has arguments that look like code. */
function makeApp(t) {
  const directory = makeTemporaryDirectory(t);
  fs.writeFileSync(directory.at('app.cjs'), "setInterval(() => {}, 1000); console.log('ready');");
  fs.writeFileSync(directory.at('pre load.cjs'), '');
  fs.writeFileSync(directory.at('pre.cjs'), '');
  fs.writeFileSync(directory.at('pre.mjs'), '');
  fs.writeFileSync(directory.at('titled.cjs'), "process.title = 'shop: web'; require('./app.cjs');");
  fs.writeFileSync(directory.at('all.env'), 'PORT=1\nNODE_OPTIONS="--no-warnings --inspect-port=0.0.0.0:0"\n');
  fs.writeFileSync(directory.at('spaced.env'), "PORT=1\nexport NODE_OPTIONS ='--inspect-port=0.0.0.0:0'\n");
  fs.writeFileSync(directory.at('port.env'), 'PORT=1\n# --inspect-port=0.0.0.0:0\n');
  const start = async (words, env = {}, via = []) => {
    const app = startProgram(t, [process.execPath, '--max-old-space-size=128', ...words], {
      cwd: directory.path,
      env: { PWD: directory.path, ...env },
      via,
    });
    await app.says(/ready/);
    return app;
  };
  return { directory, start };
}

test('what Node.js was told is read as it reads it, and rather too much than too little', async (t) => {
  const { start } = makeApp(t);
  const all = { host: '0.0.0.0' };
  const own = { host: undefined, doubt: undefined };
  const cases = [
    [['-r', './pre load.cjs', '--inspect-port=0.0.0.0:0', 'app.cjs'], all],
    [['--import', './pre.mjs', '--inspect-port', '0.0.0.0:0', 'app.cjs'], all],
    [['--conditions', 'x', '--debug-port=[::]:0', 'app.cjs'], { host: '::' }],
    [['--inspect_port=0.0.0.0', '--', 'app.cjs'], all],
    [['--inspect-port=0.0.0.0:0', '--inspect-port=0', 'app.cjs'], all],
    [['--inspect-port=127.evil.example:0', 'app.cjs'], { host: '127.evil.example' }],
    [['app.cjs'], { ...all, where: 'its NODE_OPTIONS' }, { NODE_OPTIONS: '-r "./pre load.cjs" "--inspect-port=0.0.0.0:0"' }],
    [['--env-file=all.env', 'app.cjs'], { ...all, where: 'all.env' }],
    [['--env-file=spaced.env', 'app.cjs'], { ...all, where: 'spaced.env' }],
    // Node.js takes it even there.
    [['app.cjs', '--env-file', 'all.env'], { ...all, where: 'all.env' }],
    [['titled.cjs'], { doubt: /process\.title/ }],
    [['--inspect-port=0.0.0.0:0', 'titled.cjs'], { doubt: /process\.title/ }],
    [['--title=web', 'app.cjs'], { doubt: /process\.title/ }],
    [['--inspect-port=0', 'app.cjs'], own],
    [['--inspect-port=localhost:0', 'app.cjs'], own],
    [['--inspect-port=[::1]:0', 'app.cjs'], own],
    [['--inspect-port=127.0.0.2:0', 'app.cjs'], own],
    [['--max-semi-space-size=16', 'app.cjs', '--inspect-port=0.0.0.0:0'], own],
    [['--env-file=port.env', 'app.cjs'], own],
    [['--env-file=port.env', 'app.cjs'], { host: undefined, doubt: /port\.env.*its PWD is not/ }, { PWD: undefined }],
    [['--env-file-if-exists=port.env', 'app.cjs'], { host: undefined, doubt: /port\.env.*its PWD is not/ }, { PWD: '/' }],
    [['--env-file=all.env', 'app.cjs'], all, { PWD: '/' }],
    [['--env-file-if-exists=none.env', 'app.cjs'], own],
    [['app.cjs'], own, { NODE_OPTIONS: '--inspect-port=0' }],
  ];
  await Promise.all(
    cases.map(async ([words, expected, env]) => {
      const { pid } = await start(words, env);
      const told = inspectorPort(new Target(pid));
      for (const [name, value] of Object.entries(expected)) {
        const what = `${name} of ${words.join(' ')}`;
        if (value instanceof RegExp) assert.match(`${told[name]}`, value, what);
        else assert.equal(told[name], value, what);
      }
    }),
  );
});

test('a file of --env-file that has changed since is not believed', async (t) => {
  const { directory, start } = makeApp(t);
  const { pid } = await start(['--env-file=port.env', 'app.cjs']);
  assert.equal(inspectorPort(new Target(pid)).doubt, undefined);
  fs.appendFileSync(directory.at('port.env'), 'MORE=1\n');
  assert.match(inspectorPort(new Target(pid)).doubt, /port\.env \(--env-file\) was changed after it started/);
  fs.rmSync(directory.at('port.env'));
  assert.match(inspectorPort(new Target(pid)).doubt, /port\.env \(--env-file\) is not there now/);
});

test('a file of --env-file is found as the process found it, and opened if it is a small regular one', async (t) => {
  const { directory, start } = makeApp(t);
  fs.symlinkSync('here/../linked.env', directory.at('first.env'));
  fs.mkdirSync(directory.at('there'));
  fs.symlinkSync(directory.path, directory.at('current'));
  fs.symlinkSync('there', directory.at('here'));
  fs.symlinkSync(directory.at('all.env'), directory.at('linked.env'));
  fs.writeFileSync(directory.at('large.env'), 'x'.repeat((1 << 20) + 1));
  const cases = [
    ['first.env', { host: '0.0.0.0', where: 'first.env', doubt: undefined }],
    ['large.env', { doubt: 'its large.env (--env-file) cannot be read' }],
    ['/dev/null', { doubt: 'its /dev/null (--env-file) cannot be read' }],
    ['/dev/stdin', { doubt: 'its /dev/stdin (--env-file) cannot be read' }],
  ];
  for (const [name, expected] of cases) {
    const { pid } = await start([`--env-file=${name}`, 'app.cjs'], { PWD: directory.at('current') });
    const told = inspectorPort(new Target(pid));
    for (const key of Object.keys(expected)) assert.equal(told[key], expected[key], `${key} of ${name}`);
  }

  const { pid } = await start(['--env-file-if-exists=later.env', 'app.cjs']);
  assert.equal(spawnSync('mkfifo', ['-m', '600', directory.at('later.env')]).status, 0);
  const { code, stderr } = await runCommand(t, ['node-snapshot', '--via', 'inspector', '--pid', pid, '--output', directory.at('a')]);
  assert.equal(code, 2);
  assert.match(stderr, /not certain: its later\.env \(--env-file\) was changed after it started/);
});

test("a link of --env-file leads through the process' own file system", async (t) => {
  if (!needsRoot(t) || !needsTool(t, 'unshare')) return;
  const { directory, start } = makeApp(t);
  for (const name of ['volume', 'mounted']) fs.mkdirSync(directory.at(name));
  fs.renameSync(directory.at('all.env'), directory.at('mounted/all.env'));
  fs.symlinkSync(directory.at('volume/all.env'), directory.at('link.env'));
  const mount = 'mount --bind "$0/mounted" "$0/volume" && exec "$@"';
  const via = ['unshare', '--mount', 'sh', '-c', mount, directory.path];
  const { pid } = await start(['--env-file-if-exists=link.env', 'app.cjs'], {}, via);
  assert.deepEqual(fs.readdirSync(directory.at('volume')), []);
  assert.equal(inspectorPort(new Target(pid)).host, '0.0.0.0');
});

test('no signal is sent where others could reach the inspector, or where that is not known', async (t) => {
  const { directory, start } = makeApp(t);
  for (const [words, pattern] of [
    [['-r', './pre.cjs', '--inspect-port=0.0.0.0:0', 'app.cjs'], /on 0\.0\.0\.0 \(so says its command line\).*Load heapdump-rs/],
    [['titled.cjs'], /not certain: its command line was overwritten.*--endpoint.*--assume-loopback/],
  ]) {
    const { pid } = await start(words);
    const args = ['node-snapshot', '--via', 'inspector', '--pid', pid, '--output', directory.at('a')];
    for (const more of words.length > 1 ? [[], ['--assume-loopback']] : [[]]) {
      const { code, stderr } = await runCommand(t, [...args, ...more]);
      assert.equal(code, 2);
      assert.match(stderr, pattern);
    }
    assert.deepEqual(new Target(pid).listeners(), []);
    assert.ok(isRunning(processInfo(pid)));
  }
  assert.equal(fs.existsSync(directory.at('a')), false);
});

test('--assume-loopback takes the user at their word', async (t) => {
  const { directory, start } = makeApp(t);
  const { pid } = await start(['--inspect-port=0', 'titled.cjs']);
  const args = ['node-snapshot', '--via', 'inspector', '--pid', pid, '--assume-loopback', '--output', directory.at('a')];
  const { code, stderr } = await runCommand(t, args);
  assert.equal(code, 0, stderr);
  await validateSnapshot(directory.at('a'));
  assert.deepEqual(new Target(pid).listeners(), []);
});

test('an inspector that opens for others all the same is closed at once', async (t) => {
  const { directory, start } = makeApp(t);
  const hidden = "const i = require('inspector'); i.open(0, '0.0.0.0'); i.close(); require('./app.cjs');";
  fs.writeFileSync(directory.at('hidden.cjs'), hidden);
  const cases = [
    [['hidden.cjs'], []],
    [['--inspect-port=0.0.0.0:0', 'titled.cjs'], ['--assume-loopback']],
  ];
  for (const [words, more] of cases) {
    const app = await start(words);
    const { code, stderr } = await runCommand(t, ['node-snapshot', '--via', 'inspector', '--pid', app.pid, ...more, '--output', directory.at('a')]);
    assert.equal(code, 2);
    assert.match(stderr, /opened its inspector on 0\.0\.0\.0:\d+, where others can reach it: it was closed at once/);
    assert.match(app.stderr, /listening on ws:\/\/0\.0\.0\.0:/);
    assert.deepEqual(new Target(app.pid).listeners(), []);
    assert.ok(isRunning(processInfo(app.pid)));
  }
  assert.equal(fs.existsSync(directory.at('a')), false);
});

test('who gives up leaves no inspector: it is closed, or said how', async (t) => {
  const directory = makeTemporaryDirectory(t);
  assert.equal(spawnSync('mkfifo', [directory.at('gate')]).status, 0);
  const app = startApp(
    t,
    ({ say, args }) => {
      say('ready');
      // Its thread stands still until it is told to go on, and opens no inspector meanwhile.
      const fs = require('node:fs');
      fs.closeSync(fs.openSync(args.gate, 'r'));
      setInterval(() => {}, 1000);
    },
    { nodeOptions: ['--inspect-port=0'], args: { gate: directory.at('gate') } },
  );
  await app.says(/ready/);
  await waitFor('it stands still', () => processInfo(app.pid).state === 'S');
  const args = ['node-snapshot', '--via', 'inspector', '--pid', app.pid, '--output', directory.at('a')];
  const { code, stderr } = await runCommand(t, [...args, '--timeout', 1]);
  assert.equal(code, 2);
  assert.match(stderr, /--timeout is over\. Process \d+ may still open its inspector, on a port that it says/);
  assert.match(stderr, /To close it: node inspect 127\.0\.0\.1:PORT, and there: exec\('process\._debugEnd\(\)'\)/);
  fs.writeFileSync(directory.at('gate'), '');
  await app.says(/listening on ws:/, { on: 'stderr' });

  // Now it is open, and is another's to close.
  const { code: then, stderr: why } = await runCommand(t, args);
  assert.equal(then, 0, why);
  assert.equal(new Target(app.pid).listeners().length, 1);
});

test('a snapshot that fails leaves no inspector', async (t) => {
  const directory = makeTemporaryDirectory(t);
  const { start } = makeApp(t);
  const app = await start(['--inspect-port=0', 'app.cjs']);
  const limited = { via: ['sh', '-c', 'ulimit -f 100; trap "" XFSZ; exec "$@"', 'sh'] };
  const { code, stderr } = await runCommand(t, ['node-snapshot', '--via', 'inspector', '--pid', app.pid, '--output', directory.at('a')], limited);
  assert.equal(code, 2);
  assert.match(stderr, /cannot write .*\/a/);
  assert.match(app.stderr, /listening on ws:/);
  assert.deepEqual(new Target(app.pid).listeners(), []);
  assert.ok(isRunning(processInfo(app.pid)));
});

/** Stands in for Node's inspector: it tells when its first session leaves, and `_debugEnd()` in the next one closes it. */
function standIn({ say, args }) {
  const http = require('node:http');
  let sessions = 0;
  const server = http.createServer((request, response) => response.end(JSON.stringify([{ id: 'a', type: 'node' }])));
  const frame = (opcode, text) => Buffer.concat([Buffer.from([0x80 | opcode, text.length]), Buffer.from(text)]);
  const chunk = { method: 'HeapProfiler.addHeapSnapshotChunk', params: { chunk: 'no snapshot' } };
  server.on('upgrade', (request, socket) => {
    const session = ++sessions;
    let chunks = 0;
    let answered = false;
    const send = () => socket.write(Buffer.concat([frame(1, JSON.stringify(chunk)), frame(9, '')]));
    const on = {
      // The one command of a session.
      1: () => (session === 1 ? send() : (server.close(), socket.end())),
      8: () => say(answered ? 'left after the answer' : 'left before the answer'),
      // Whoever answers a ping has read what was before it.
      10() {
        if (++chunks < 20) return void send();
        if (args.reset) return void socket.resetAndDestroy();
        answered = true;
        socket.write(frame(1, JSON.stringify({ id: 1, result: {} })));
      },
    };
    let bytes = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (data) => {
      for (bytes = Buffer.concat([bytes, data]); bytes.length >= 6 + (bytes[1] & 0x7f);) {
        const opcode = bytes[0] & 0x0f;
        bytes = bytes.subarray(6 + (bytes[1] & 0x7f));
        on[opcode]();
      }
    });
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  });
  process.on('SIGUSR1', () => server.listen(0, '127.0.0.1'));
  setInterval(() => {}, 1000);
  say('ready');
}

test("V8's snapshot is read to its end before its session is left, and the inspector closed whatever comes of that", async (t) => {
  const directory = makeTemporaryDirectory(t);
  for (const reset of [false, true]) {
    const app = startApp(t, standIn, { nodeOptions: ['--inspect-port=0'], args: { reset } });
    await app.says(/ready/);
    const { code, stderr } = await runCommand(t, ['node-snapshot', '--via', 'inspector', '--pid', app.pid, '--output', directory.at('a')]);
    assert.equal(code, 2);
    assert.match(stderr, /this is no heap snapshot/);
    if (!reset) assert.equal((await app.says(/left (\w+) the answer/))[1], 'after');
    assert.deepEqual(new Target(app.pid).listeners(), []);
  }
});

test('the permission model: no inspector would open, and no signal is sent', { skip: NODE_MAJOR < 22 }, async (t) => {
  const { directory, start } = makeApp(t);
  const { pid } = await start(['--permission', '--allow-fs-read=*', '--inspect-port=0', 'app.cjs']);
  const { code, stderr } = await runCommand(t, ['node-snapshot', '--via', 'inspector', '--pid', pid, '--output', directory.at('a')]);
  assert.equal(code, 2);
  // Node.js 22 does not catch the signal then.
  assert.match(stderr, /(permission model without --allow-inspector|does not answer SIGUSR1): it opens no inspector/);
  assert.ok(isRunning(processInfo(pid)));
});

test('a cluster primary hands the signal to its workers: theirs are closed too', async (t) => {
  const { directory, start } = makeApp(t);
  const script = (settings) => `
    const cluster = require('node:cluster');
    if (cluster.isPrimary) {
      cluster.setupPrimary(${settings});
      cluster.fork().on('message', () => console.log('ready'));
    } else {
      process.send('up');
      setInterval(() => {}, 1000);
    }`;
  fs.writeFileSync(directory.at('cluster.cjs'), script('{ inspectPort: 0 }'));
  fs.writeFileSync(directory.at('open.cjs'), script("{ inspectPort: 0, execArgv: ['--inspect-port=0.0.0.0:0'] }"));
  const take = (pid) => runCommand(t, ['node-snapshot', '--via', 'inspector', '--pid', pid, '--exactly', '--force', '--output', directory.at('a')]);
  const app = await start(['--inspect-port=0', 'cluster.cjs']);
  const { code, stderr } = await take(app.pid);
  assert.equal(code, 0, stderr);
  assert.equal(app.stderr.match(/listening on ws:/g).length, 2);
  const [worker] = new Tree().below(app.pid);
  for (const pid of [app.pid, worker.pid]) assert.deepEqual(new Target(pid).listeners(), []);

  const other = await start(['--inspect-port=0', 'open.cjs']);
  const refused = await take(other.pid);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /0\.0\.0\.0.*It is a cluster worker of process \d+/);
  assert.doesNotMatch(other.stderr, /listening/);
});

test("a cluster worker's inspector is closed at once, whatever becomes of the primary's", async (t) => {
  const { directory, start } = makeApp(t);
  const script = (primary, worker) => `
    const cluster = require('node:cluster');
    if (cluster.isPrimary) {
      cluster.setupPrimary({ inspectPort: 0 });
      const worker = cluster.fork().on('message', () => console.log('ready'));
      ${primary}
    } else {
      ${worker}
      process.send('up');
      setInterval(() => {}, 1000);
    }`;
  const handsOn = "process.on('SIGUSR1', () => process._debugProcess(worker.process.pid));";
  fs.writeFileSync(directory.at('silent.cjs'), script(handsOn, ''));
  fs.writeFileSync(directory.at('hidden.cjs'), script('', "const i = require('inspector'); i.open(0, '0.0.0.0'); i.close();"));
  for (const [name, args, pattern, opened] of [
    ['silent.cjs', ['--timeout', 3], /--timeout is over/, 1],
    ['hidden.cjs', [], /process \d+ opened its inspector on 0\.0\.0\.0:\d+, .* closed at once, and no snapshot/, 3],
  ]) {
    const app = await start(['--inspect-port=0', name]);
    const more = ['--exactly', ...args, '--output', directory.at('a')];
    const { code, stderr } = await runCommand(t, ['node-snapshot', '--via', 'inspector', '--pid', app.pid, ...more]);
    assert.equal(code, 2);
    assert.match(stderr, pattern);
    assert.equal(app.stderr.match(/listening on ws:/g).length, opened, app.stderr);
    for (const { pid } of [app, ...new Tree().below(app.pid)]) {
      assert.deepEqual(new Target(pid).listeners(), []);
      assert.ok(isRunning(processInfo(pid)));
    }
  }
  assert.equal(fs.existsSync(directory.at('a')), false);
});

test('a single-executable application may have options in itself', async (t) => {
  assert.equal(isSingleApplication(process.execPath), false);
  const directory = makeTemporaryDirectory(t);
  // As postject and `node --build-sea` mark it.
  fs.writeFileSync(directory.at('sea'), `${'x'.repeat(3 << 20)}NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2:1`);
  assert.equal(isSingleApplication(directory.at('sea')), true);
  if (NODE_MAJOR < 26) return;
  fs.writeFileSync(directory.at('main.js'), "setInterval(() => {}, 1000); console.log('ready');");
  const config = { main: 'main.js', output: 'app', disableExperimentalSEAWarning: true, execArgv: ['--inspect-port=0.0.0.0:0'] };
  fs.writeFileSync(directory.at('sea.json'), JSON.stringify(config));
  const built = spawnSync(process.execPath, ['--build-sea', 'sea.json'], { cwd: directory.path, encoding: 'utf8' });
  assert.equal(built.status, 0, built.stderr);
  const app = startProgram(t, [directory.at('app')]);
  await app.says(/ready/);
  assert.match(inspectorPort(new Target(app.pid)).doubt, /single-executable application/);
});

test('NODE_OPTIONS is split as Node.js splits it', () => {
  for (const [text, words] of [
    ['--a  --b', ['--a', '--b']],
    ['"--a b" c', ['--a b', 'c']],
    ['--a="b \\" c"', ['--a=b " c']],
    ['--a=\\b\t--c', ['--a=\\b\t--c']],
    ['""', []],
  ]) {
    assert.deepEqual(splitNodeOptions(text), words, text);
  }
});

test('where the options of a command line end', () => {
  for (const [words, options] of [
    ['--a=1 app --b', '--a=1'],
    ['-r x --b app c --d', '-r x --b app'],
    ['--a x y --b', '--a x'],
    ['--a -- --b', '--a'],
    ['-', ''],
  ]) {
    assert.equal(mayBeOptions(words.split(' ')).join(' '), options, words);
  }
});

test('a title is told from a command line', () => {
  for (const [text, expected] of [
    ['node\0app.js\0', true],
    ['/usr/bin/node\0', true],
    ['node\0\0\0', false],
    ['shop: web\0\0\0', false],
    ['shop: web with a long title\0', false],
    ['', false],
  ]) {
    assert.equal(isAsStarted(text, '/usr/bin/node'), expected, JSON.stringify(text));
  }
});

test('addresses of this machine alone', () => {
  const own = ['localhost', '127.0.0.1', '127.8.0.1', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1'];
  const others = ['0.0.0.0', '::', '10.0.0.1', '127.example', 'example', '128.0.0.1', ''];
  for (const host of [...own, ...others]) assert.equal(isLoopback(host), own.includes(host), host);
});

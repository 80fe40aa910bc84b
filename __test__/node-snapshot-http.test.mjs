// npx heapdump-rs node-snapshot --endpoint against heapdump-rs/http: what one sends, the other takes, in each of their ways.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { startApp, startProgram } from './support/app.mjs';
import { BIN, runCommand, startCommand } from './support/command.mjs';
import { needsTool } from './support/faults.mjs';
import { makeTemporaryDirectory, modeOf } from './support/files.mjs';
import { TOKEN } from './support/http.mjs';
import { childrenOf, goneAfter, snapshotChildOf, waitFor } from './support/processes.mjs';

/** A handler at each path of `args.handlers`; tells the status and the coding of every answer. */
const serve = ({ fill, say, args }) => {
  const { snapshotHandler } = require('../../lib/http.js');
  fill(args.count ?? 1000);
  const common = { token: args.token, minInterval: 0, log: false };
  const handlers = new Map();
  for (const [path, options] of Object.entries(args.handlers)) handlers.set(path, snapshotHandler({ ...common, ...options }));
  const server = require('node:http').createServer((request, response) => {
    const { writeHead } = response;
    response.writeHead = (status, headers) => {
      say('answered', request.method, request.url, status, headers['Content-Encoding'] ?? 'as it is');
      return writeHead.call(response, status, headers);
    };
    handlers.get(request.url)(request, response);
  });
  server.listen(0, '127.0.0.1', () => say('port', server.address().port));
};

async function startServer(t, handlers, args = {}) {
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('server'));
  const app = startApp(t, serve, { cwd: directory.at('server'), args: { token: TOKEN, handlers, ...args } });
  const port = Number((await app.says(/port (\d+)/))[1]);
  const fetch = (path, output, ...more) => {
    const args = ['node-snapshot', '--endpoint', `http://localhost:${port}${path}`, '--output', output, ...more];
    return { args, options: { cwd: directory.path } };
  };
  return {
    app,
    directory,
    start: (path, output, ...more) => {
      const { args, options } = fetch(path, output, ...more);
      return startCommand(t, args, options);
    },
    run: (path, output, ...more) => {
      const { args, options } = fetch(path, output, ...more);
      return runCommand(t, args, options);
    },
    /** The same on a terminal of its own, whose output is the standard output. */
    terminal: (path, output, ...more) => {
      const { args, options } = fetch(path, output, ...more);
      const words = [process.execPath, BIN, ...args].map((word) => `'${word}'`).join(' ');
      return startProgram(t, ['script', '--quiet', '--return', '--command', words, '/dev/null'], options);
    },
    runWithEnvironment: (env, path, output) => {
      const { args, options } = fetch(path, output);
      return runCommand(t, args, { ...options, env });
    },
  };
}

/** The file is whole, private, and all that is new in the directory. */
async function checkFetched(directory, name, { code, stdout, stderr }, { said = /^$/ } = {}) {
  assert.equal(code, 0, stderr);
  assert.match(stderr, said);
  assert.match(stdout, /: complete, .* objects\n$/);
  assert.deepEqual(directory.names().sort(), [name, 'server'].sort());
  assert.equal(modeOf(directory.at(name)), 0o600);
  await validateSnapshot(directory.at(name));
}

test('a streamed snapshot: compressed on its way, as it is, and as a compressed file', async (t) => {
  const { app, directory, run } = await startServer(t, {
    '/gzip': {},
    '/plain': { compress: false },
    '/gzip-file': { compress: 'gzip' },
  });
  for (const [path, coding] of [['/gzip', 'gzip'], ['/plain', 'as it is'], ['/gzip-file', 'as it is']]) {
    for (const name of ['a.heapsnapshot', 'a.heapsnapshot.gz']) {
      await checkFetched(directory, name, await run(path, name, '--token', TOKEN));
      const beginning = fs.readFileSync(directory.at(name)).subarray(0, 2).toString('hex');
      assert.equal(beginning === '1f8b', name.endsWith('.gz'));
      fs.rmSync(directory.at(name));
    }
    await app.says(new RegExp(`answered POST ${path} 200 ${coding}`));
  }
  assert.deepEqual(directory.names('server'), [], "nothing lands on the server's disk");
});

test("the guide's {snapshot, size}, POST or GET, absolute or relative to the server", async (t) => {
  const { app, directory, run } = await startServer(t, {
    '/post': { directory: '.' },
    '/get': { directory: '.', allowGet: true },
    '/compressed': { directory: '.', compress: 'gzip' },
  });
  const ways = [
    ['/post', []],
    ['/get', ['--method', 'GET']],
    ['/compressed', []],
  ];
  for (const [path, more] of ways) {
    const said = /^copying .*\/server\/heap-\d+-\d+-\d+\.heapsnapshot(\.gz)?\n$/;
    await checkFetched(directory, 'a.heapsnapshot', await run(path, 'a.heapsnapshot', '--token', TOKEN, ...more), { said });
    fs.rmSync(directory.at('a.heapsnapshot'));
  }
  await app.says(/answered GET \/get 200/);
  // The server's own files stay with it.
  assert.equal(directory.names('server').length, ways.length);
});

test('the token: from the environment, absent, wrong', async (t) => {
  const { app, directory, run, runWithEnvironment } = await startServer(t, { '/': {} });
  const name = 'a.heapsnapshot';
  const without = await run('/', name);
  assert.deepEqual([without.code, without.stdout], [2, '']);
  assert.match(without.stderr, /answered 401 .*: it wants a token: --token\nIt said: .*no token, or a wrong one/);
  const wrong = await run('/', name, '--token', `${TOKEN}x`);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /it does not accept this token/);
  assert.ok(!wrong.stderr.includes(TOKEN));
  assert.deepEqual(directory.names(), ['server']);
  assert.deepEqual(childrenOf(app.pid), []);
  await checkFetched(directory, name, await runWithEnvironment({ HEAPDUMP_TOKEN: TOKEN }, '/', name));
});

test('what the handler refuses is said in plain words: GET, busy, too soon', async (t) => {
  const { directory, run, start, app } = await startServer(
    t,
    { '/': {}, '/seldom': { minInterval: 3_600_000 } },
    { count: 60_000 },
  );
  const get = await run('/', 'get', '--token', TOKEN, '--method', 'GET');
  assert.equal(get.code, 2);
  assert.match(get.stderr, /answered 405 .*: it does not accept GET\nIt said: .*POST only/);

  const first = start('/', 'first.heapsnapshot', '--token', TOKEN);
  await snapshotChildOf(app);
  const busy = await run('/', 'second', '--token', TOKEN);
  assert.deepEqual([busy.code, busy.stdout], [2, '']);
  assert.match(busy.stderr, /answered 409 .*: another snapshot is being taken; try again later/);
  assert.equal((await first.ended()).code, 0);
  await validateSnapshot(directory.at('first.heapsnapshot'));

  const third = await waitFor('the first to be over', async () => {
    const outcome = await run('/seldom', 'third.heapsnapshot', '--token', TOKEN);
    return !/answered 409/.test(outcome.stderr) && outcome;
  });
  assert.equal(third.code, 0, third.stderr);
  const soon = await run('/seldom', 'fourth', '--token', TOKEN);
  assert.equal(soon.code, 2);
  assert.match(soon.stderr, /answered 429 .*: another snapshot was taken just now; try again later/);
  assert.deepEqual(directory.names().sort(), ['first.heapsnapshot', 'server', 'third.heapsnapshot']);
});

test('on a terminal progress is shown, and gone when the file is complete', async (t) => {
  if (!needsTool(t, 'script')) return;
  const { directory, terminal } = await startServer(t, { '/': {} }, { count: 60_000 });
  const { code, stdout } = await terminal('/', 'a.heapsnapshot', '--token', TOKEN).ended();
  assert.equal(code, 0, stdout);
  const shown = stdout.match(/\r\x1b\[K[\d.]+ [kM]?B downloaded/g) ?? [];
  assert.ok(shown.length > 1 && new Set(shown).size === shown.length, stdout);
  // The last line of progress is wiped out by what came of it.
  assert.match(stdout, /downloaded\r\x1b\[K[^\r]*\/a\.heapsnapshot: complete, [\d.]+ MB, \d+ objects\r\n$/);
  await validateSnapshot(directory.at('a.heapsnapshot'));
});

test('an interrupted download ends the child, and leaves nothing on either side', async (t) => {
  const { app, directory, start } = await startServer(t, { '/': {} }, { count: 100_000 });
  const command = start('/', 'a.heapsnapshot', '--token', TOKEN);
  const child = await snapshotChildOf(app);
  command.kill('SIGINT');
  assert.equal((await command.ended()).code, 130);
  await goneAfter(child);
  await waitFor('no child', () => childrenOf(app.pid).length === 0);
  assert.deepEqual([directory.names(), directory.names('server')], [['server'], []]);
});

// What people paste, as it stands in the documents that this package takes after, but for the package's name (and paths and
// times that a test cannot have). Those of OpenProfiling, Node-RED and PM2 are in their own tests, the guide's
// commands in those of node-snapshot and of the command line.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { ROOT, startProgram } from './support/app.mjs';
import { isSnapshotName, makeTemporaryDirectory } from './support/files.mjs';
import { askWhole, AUTHORIZATION, TOKEN } from './support/http.mjs';
import { waitFor } from './support/processes.mjs';

/** `source` as app.js of a directory where the package is installed. */
function start(t, source, { flags = ['--max-old-space-size=256'], env } = {}) {
  const directory = makeTemporaryDirectory(t);
  fs.mkdirSync(directory.at('node_modules'));
  fs.symlinkSync(ROOT, directory.at('node_modules', 'heapdump-rs'));
  fs.writeFileSync(directory.at('app.js'), source.replaceAll('/var/local/', `${directory.path}/`));
  const app = startProgram(t, [process.execPath, ...flags, 'app.js'], { cwd: directory.path, env });
  const files = () => directory.names().filter((name) => name.includes('heapsnapshot'));
  const filesLike = (pattern, count = 1) =>
    waitFor(`${count} files ${pattern}`, () => {
      const names = files().filter((name) => pattern.test(name));
      return names.length >= count && names;
    });
  return { app, directory, files, filesLike };
}

const validateAll = async (directory, names) => {
  for (const name of names) await validateSnapshot(directory.at(name));
};

test("node-heapdump's README: three ways to call it, and the signal", async (t) => {
  const { app, directory, files, filesLike } = start(t, `
    var heapdump = require('heapdump-rs');
    setInterval(function() {}, 1000);

    heapdump.writeSnapshot('/var/local/' + Date.now() + '.heapsnapshot');

    heapdump.writeSnapshot(function(){
      console.log('dump complete');
    });
  `);
  await app.says(/dump complete/);
  assert.equal(files().length, 2);
  const [own] = await filesLike(/^\d{13}\.heapsnapshot$/);
  app.kill('SIGUSR2');
  const others = await filesLike(/^heapdump-\d+\.\d+\.heapsnapshot$/, 2);
  assert.equal(files().length, 3);
  await validateAll(directory, [own, ...others]);
});

test("node-heapdump's README: env NODE_HEAPDUMP_OPTIONS=nosignal node script.js", async (t) => {
  const source = "require('heapdump-rs'); setInterval(function() {}, 1000); console.log('ready');";
  const { app, files } = start(t, source, { env: { NODE_HEAPDUMP_OPTIONS: 'nosignal' } });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  assert.equal((await app.ended()).signal, 'SIGUSR2');
  assert.deepEqual(files(), []);
});

test("node-oom-heapdump's README: threshold and name, under the flags that it advises", async (t) => {
  // V8 no longer knows --always_compact: Node.js 20 and later do not start with it. This is its new name.
  const flags = ['--inspect=127.0.0.1:0', '--max_old_space_size=60', '--optimize_for_size', '--compact_on_every_full_gc'];
  const { app, directory, filesLike } = start(t, `
    require("heapdump-rs/oom")({
        threshold: 75,
        name: "my_heapdump"
    });
    // A leak, until there is a snapshot of it.
    const kept = (globalThis.kept = []);
    const isOver = () => require('fs').readdirSync('.').some((name) => /^\\.?my_heapdump/.test(name));
    (function leak() {
      if (isOver()) return void setInterval(() => {}, 1000);
      for (let i = 0; i < 2000; i++) kept.push({ i, text: 'text ' + i });
      setImmediate(leak);
    })();
  `, { flags });
  const names = await filesLike(/^my_heapdump\.heapsnapshot$/);
  assert.ok((await validateSnapshot(directory.at(names[0]))).nodes > 10_000);
  assert.ok(!app.hasEnded);
});

test('the guide, process signals: a handler of its own', async (t) => {
  const { app, directory, files, filesLike } = start(t, `
    // Add to your Node.js app
    process.on('SIGUSR2', () => {
      const filename = \`heap-\${Date.now()}.heapsnapshot\`;
      require('heapdump-rs').writeSnapshotSync(filename);
      console.log(\`Heap snapshot written to \${filename}\`);
    });
    setInterval(() => {}, 1000);
    console.log('ready');
  `, { env: { NODE_HEAPDUMP_OPTIONS: 'nosignal' } });
  await app.says(/ready/);
  for (let count = 1; count <= 2; count++) {
    app.kill('SIGUSR2');
    await waitFor('the line', () => app.stdout.match(/^Heap snapshot written to heap-\d+\.heapsnapshot$/gm)?.length === count);
    await validateAll(directory, await filesLike(/^heap-\d{13}\.heapsnapshot$/, count));
  }
  assert.equal(files().length, 2);
});

test('the guide, HTTP endpoint: our handler in the place of the one that blocks', async (t) => {
  // `app` is Express' in test:frameworks; here it is as much of it as the snippet needs.
  const { app, directory } = start(t, `
    const routes = new Map();
    const app = { get: (path, handler) => routes.set('GET ' + path, handler) };
    const { snapshotHandler, healthHandler } = require('heapdump-rs/http');

    // Add debugging endpoint to your Express app
    app.get('/debug/heap-snapshot', snapshotHandler({ token: '${TOKEN}', allowGet: true, directory: '.' }));
    app.get('/health', healthHandler({ maxHeap: 536870912 }));

    require('http')
      .createServer((req, res) => routes.get(req.method + ' ' + req.url)(req, res))
      .listen(0, '127.0.0.1', function () { console.log('port ' + this.address().port); });
  `);
  const port = Number((await app.says(/port (\d+)/))[1]);
  const { status, body } = await askWhole(port, { method: 'GET', path: '/debug/heap-snapshot', headers: AUTHORIZATION });
  assert.equal(status, 200);
  assert.deepEqual(Object.keys(body), ['snapshot', 'size']);
  assert.match(body.snapshot, /\/heap-[\d-]+\.heapsnapshot$/);
  assert.equal(body.size, fs.statSync(body.snapshot).size);
  await validateAll(directory, directory.names().filter((name) => name.endsWith('.heapsnapshot')));
  // The guide's probe, whose `node -e` measures another process, and its 512 MB.
  assert.equal((await askWhole(port, { method: 'GET', path: '/health', headers: {} })).status, 200);
});

test('the guide, scheduler and alerts: with our function in them', async (t) => {
  const { app, directory, filesLike } = start(t, `
    const heapSnapshotScheduler = () => {
      setInterval(() => {
        const memoryUsage = process.memoryUsage();

        // Take snapshot if memory usage is high
        if (memoryUsage.heapUsed > 1 * 1024 * 1024) {
          const filename = \`heap-auto-\${Date.now()}.heapsnapshot\`;
          require('heapdump-rs').writeSnapshotSync(filename);
          console.log(\`Auto heap snapshot: \${filename}, heapUsed: \${(memoryUsage.heapUsed / 1024 / 1024).toFixed(2)}MB\`);
        }
      }, 500);
    };
    heapSnapshotScheduler();

    // Monitor memory usage and alert on growth
    let baselineMemory = process.memoryUsage().heapUsed;

    setInterval(() => {
      const currentMemory = process.memoryUsage().heapUsed;
      const growth = ((currentMemory - baselineMemory) / baselineMemory) * 100;

      if (growth > 50) { // 50% growth threshold
        console.warn(\`Memory growth detected: \${growth.toFixed(2)}% increase\`);

        // Take snapshot for analysis
        const filename = \`heap-alert-\${Date.now()}.heapsnapshot\`;
        require('heapdump-rs').writeSnapshotSync(filename);

        // Reset baseline
        baselineMemory = currentMemory;
      }
    }, 100);

    globalThis.kept = Array.from({ length: 100000 }, (_, i) => ({ i, text: 'text ' + i }));
  `);
  await app.says(/Auto heap snapshot: heap-auto-\d+\.heapsnapshot, heapUsed: [\d.]+MB/);
  await app.says(/Memory growth detected: [\d.]+% increase/, { on: 'stderr' });
  await validateAll(directory, [...(await filesLike(/^heap-auto-\d+\.heapsnapshot$/)), ...(await filesLike(/^heap-alert-/))]);
});

test('the guide, the same and its gauges: with the monitor instead', async (t) => {
  const { app, directory, filesLike } = start(t, `
    const { monitor } = require('heapdump-rs/monitor');
    const metrics = { gauge: (name, value) => console.log('gauge', name, value > 0) };
    monitor({ every: '300ms', dir: 'heap-snapshots', metrics, metricsInterval: '50ms' });
    setInterval(() => {}, 1000);
  `);
  for (const name of ['rss', 'heap_used', 'heap_total']) await app.says(new RegExp(`gauge nodejs\\.memory\\.${name} true`));
  const names = await waitFor('a snapshot', () => {
    const all = fs.existsSync(directory.at('heap-snapshots')) ? directory.names('heap-snapshots') : [];
    return all.some((name) => /^heap-schedule-\d+\.heapsnapshot$/.test(name)) && all;
  });
  await validateSnapshot(directory.at('heap-snapshots', names.find((name) => /^heap-schedule-\d+\.heapsnapshot$/.test(name))));
});

test("the guide's Dockerfile: its command line, once app.js loads the package", async (t) => {
  const source = "require('heapdump-rs'); setInterval(() => {}, 1000); console.log('ready');";
  // Its --inspect=0.0.0.0:9229 would open a port to everybody here.
  const { app, directory, files, filesLike } = start(t, source, { flags: ['--inspect=127.0.0.1:0', '--heapsnapshot-signal=SIGUSR2'] });
  await app.says(/ready/);
  app.kill('SIGUSR2');
  const names = await filesLike(/\.heapsnapshot$/);
  await validateAll(directory, names);
  assert.ok(files().length === 1 && isSnapshotName(names[0]), names.join());
});

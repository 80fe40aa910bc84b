'use strict';

// An application that uses every subpath and, in a worker, the package once more. `node app.cjs WORKER DIRECTORY` prints what
// each of them did.

require('heapdump-rs/register');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { Worker } = require('node:worker_threads');

const heapdump = require('heapdump-rs');
const { open } = require('heapdump-rs/analyze');
const { FileExporter, GCSExporter, S3Exporter, WebhookExporter, exportSnapshot } = require('heapdump-rs/exporters');
const { snapshotHandler } = require('heapdump-rs/http');
const { monitor } = require('heapdump-rs/monitor');
const oomHeapdump = require('heapdump-rs/oom');
const { HeapSnapshotProfiler } = require('heapdump-rs/openprofiling');
const { writeSnapshot } = require('heapdump-rs/promises');

const [worker, directory] = process.argv.slice(2);
const at = (name) => path.join(directory, name);

async function main() {
  // A monitor keeps no process alive.
  setTimeout(() => {}, 60_000);
  const told = {};
  const [, , report] = await new Promise((resolve) => heapdump.writeSnapshot(at('main.heapsnapshot'), (...all) => resolve(all)));
  told.main = report.mode;
  told.promises = (await writeSnapshot(at('promises.heapsnapshot'), { compress: 'gzip' })).mode;
  told.inline = heapdump.writeSnapshotSync(at('inline.heapsnapshot')).mode;
  told.analyze = Object.keys(await (await open(at('main.heapsnapshot'))).statistics()).length > 0;
  told.exporters = path.basename((await exportSnapshot(new FileExporter({ directory: at('exported') }), { name: 'a.heapsnapshot' })).location);
  // One SDK is installed, the other is not.
  told.installedPeer = await new GCSExporter({ bucket: 'b' }).prepare().then(() => 'found', (error) => error.code);
  told.absentPeer = await new S3Exporter({ bucket: 'b' }).prepare().then(() => 'found', (error) => error.code);
  await serve(told);
  told.monitor = await new Promise((resolve) => {
    const watching = monitor({ rss: '1MB', interval: '20ms', dir: at('monitor') });
    watching.once('error', ({ message }) => resolve(message)).once('snapshot', ({ reason }) => resolve(reason));
  });
  oomHeapdump({ path: at('oom') });
  told.openprofiling = typeof new HeapSnapshotProfiler().onTrigger;
  [told.worker] = await once(new Worker(worker, { argv: [directory] }), 'message');
  console.log(JSON.stringify(told));
  process.exit();
}

/** The handler, and an exporter that posts to a server. */
async function serve(told) {
  const answer = snapshotHandler({ token: 'a-token-of-the-test', log: false });
  const received = [];
  const server = http.createServer((request, response) => {
    if (request.url === '/dump') return answer(request, response);
    request.on('data', (part) => received.push(part.length)).on('end', () => response.end());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = `http://127.0.0.1:${server.address().port}`;
  const dump = await fetch(`${url}/dump`, { method: 'POST', headers: { authorization: 'Bearer a-token-of-the-test' } });
  told.http = [dump.status, (await dump.text()).startsWith('{"snapshot"')];
  await exportSnapshot(new WebhookExporter({ url: `${url}/hook` }), { name: 'b.heapsnapshot' });
  told.webhook = received.length > 0;
  server.closeAllConnections();
  server.close();
}

main().catch((error) => {
  fs.writeSync(2, `${error.stack}\n`);
  process.exit(1);
});

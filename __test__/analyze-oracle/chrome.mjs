// Compares the analyzer with DevTools' worker on snapshots of a page in real, headless Chromium: `node
// __test__/analyze-oracle/chrome.mjs`. Needs `chromium` on the PATH (Debian: apt-get install chromium) and the npm
// package `playwright-core`, installed in the working directory.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import limits from '../../harness/limits.cjs';
import { devtoolsWorker } from '../../harness/devtools/bundle.mjs';
import { analyzerBinary } from '../support/analyzer.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const cache = path.resolve(here, '../../.cache/analyze-oracle');
const { chromium } = createRequire(path.join(process.cwd(), 'here.js'))('playwright-core');
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking'];

// Elements in the page and out of it, frames, listeners, canvases, maps: what Node has not.
const PAGE = `<!doctype html><title>oracle</title><div id=top></div>
<iframe srcdoc="<script>window.inner = { list: [1, 2, { three: 3 }] }; parent.held.push(window.inner)</script>"></iframe>
<script>
  class Row { constructor(i) { this.i = i; this.element = document.createElement('p'); this.element.row = this; } }
  var held = [], gone = [], weak = new WeakMap();
  let counted = new Map();
  function grow(count) {
    for (let i = 0; i < count; i++) {
      const row = new Row(i);
      row.element.innerHTML = '<span title="' + i + '">text ' + i + '</span>';
      row.element.addEventListener('click', () => counted.set(row, i));
      (i % 3 ? gone : held).push(row);
      if (i % 3 === 0) document.getElementById('top').append(row.element);
      weak.set(row.element, { row });
      counted.set('row ' + i, new Uint8Array(i));
    }
  }
  grow(300);
  const canvas = document.createElement('canvas'); canvas.getContext('2d').fillRect(0, 0, 9, 9); held.push(canvas);
  held.push(new AbortController(), new Blob(['x'.repeat(9000)]), document.createRange(), fetch.bind(null));
</script>`;

fs.mkdirSync(cache, { recursive: true });
await devtoolsWorker();
const binary = analyzerBinary();
const executablePath = execFileSync('which', ['chromium'], { encoding: 'utf8' }).trim();
const browser = await chromium.launch({ executablePath, args: FLAGS });
let failed = 0;
try {
  process.stdout.write(`Chromium ${browser.version()}\n`);
  const page = await browser.newPage();
  await page.setContent(PAGE);
  await page.waitForFunction('held.some((one) => one.list)');
  const files = [];
  for (const name of ['1', '2']) {
    files.push(await snapshot(page, path.join(cache, `chrome-${name}.heapsnapshot`)));
    await page.evaluate('held.splice(10, 50), document.querySelector("#top p:nth-child(7)").remove(), grow(90)');
  }
  check('nodes, classes, statistics', [files[1]]);
  check('difference', files);
  for (const file of files) fs.rmSync(file);
} finally {
  await browser.close();
}
process.stdout.write(failed ? `${failed} failed\n` : 'passed\n');
process.exit(failed ? 1 : 0);

async function snapshot(page, file) {
  const client = await page.context().newCDPSession(page);
  const stream = fs.openSync(file, 'w');
  client.on('HeapProfiler.addHeapSnapshotChunk', ({ chunk }) => fs.writeSync(stream, chunk));
  await client.send('HeapProfiler.takeHeapSnapshot', { reportProgress: false });
  await client.detach();
  fs.closeSync(stream);
  return file;
}

function check(name, files) {
  const args = ['--max-old-space-size=3000', path.join(here, 'check.mjs'), binary, ...files];
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit', timeout: limits.FILE });
  process.stdout.write(`${name}: ${status === 0 ? 'equal' : 'different'}\n`);
  if (status !== 0) failed++;
}

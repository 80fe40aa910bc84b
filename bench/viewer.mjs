// npm run bench:viewer: how fast `heapdump-rs view` answers in a real, headless Chromium, and what it takes, beside Chrome DevTools opening
// the same file: `node bench/viewer.mjs [MEGABYTES] [--file FILE] [--pairs N] [--no-devtools]`. By default a file of 100 MB; 1000 is 12
// million objects and takes 7 GB to make. Figures are only to be compared within one run. Needs chromium and GNU time.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { chromium } from 'playwright-core';

import { Problem, main, root, seconds } from '../harness/run.mjs';

const BIN = path.join(root, 'bin/heapdump-rs.js');
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((file) => fs.existsSync(file));
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--lang=en-US'];
const DEVTOOLS = 'devtools://devtools/bundled/js_app.html';
/** One thing that is waited for, in ms: DevTools takes minutes for a large file. */
const LONGEST = 30 * 60_000;
const ROUNDS = 5;

const print = (what, value) => console.log(`${what.padEnd(60)} ${value}`);
const ms = (time) => `${time.toFixed(0)} ms`;
const mb = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;
const at = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)];

await main(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { file: { type: 'string' }, pairs: { type: 'string', default: '5' }, devtools: { type: 'boolean', default: true } },
    allowNegative: true,
  });
  if (CHROMIUM === undefined) throw new Problem('there is no Chromium here: apt-get install chromium');
  const file = values.file ?? make(Number(positionals[0] ?? 100));
  const { nodes, bytes } = counts(file);
  console.log(`${new Date().toISOString()}, load ${os.loadavg().map((load) => load.toFixed(1)).join(' ')}, ${os.cpus().length} cores`);
  console.log(`${path.basename(file)}: ${(bytes / 1e6).toFixed(0)} MB, ${(nodes / 1e6).toFixed(1)} million objects\n`);
  const ours = await viewer(file);
  print('first picture after the load', ms(ours.first));
  print(`a click, median and 95th percentile of ${ours.clicks.length}`, `${ms(at(ours.clicks, 0.5))}, ${ms(at(ours.clicks, 0.95))}`);
  for (const { what, took } of [...ours.slowest]) print(`  slow: ${what}`, ms(took));
  print('the page (its process, private)', mb(ours.memory));
  print('load, from the command to the picture', seconds(ours.load));
  print('the analyzer (its process, private)', mb(ours.server));
  if (values.devtools) {
    const theirs = await devtools(file);
    print('DevTools: load, from the file chosen to the first row', `${seconds(theirs.load)}, ${(theirs.load / ours.load).toFixed(1)} times`);
    print('DevTools: its page (private)', `${mb(theirs.memory)}, ${(theirs.memory / ours.memory).toFixed(1)} times`);
  }
  cpu(file, Number(values.pairs));
});

/** A snapshot of about so many megabytes; kept for the next run. */
function make(megabytes) {
  const directory = path.join(root, '.cache/bench-viewer');
  const file = path.join(directory, `${megabytes}.heapsnapshot`);
  fs.mkdirSync(directory, { recursive: true });
  if (!fs.existsSync(file)) {
    const temporary = path.join(directory, 'new.heapsnapshot');
    execFileSync(process.execPath, ['--max-old-space-size=8000', path.join(root, 'bench/analyze-make.mjs'), temporary, `${megabytes}`]);
    fs.renameSync(temporary, file);
  }
  return file;
}

function counts(file) {
  const start = Buffer.alloc(8192);
  const handle = fs.openSync(file);
  fs.readSync(handle, start);
  fs.closeSync(handle);
  const [, nodes] = /"node_count":(\d+)/.exec(start.toString()) ?? [];
  if (nodes === undefined) throw new Problem(`${file} says no node_count: is it compressed?`);
  return { nodes: Number(nodes), bytes: fs.statSync(file).size };
}

/** Times are taken in the page: from the mouse button to the frame that shows the answer. */
function watch() {
  const { fetch } = globalThis;
  let open = 0;
  let pressed = 0;
  globalThis.fetch = (...args) => {
    if (!String(args[0]).endsWith('/ask')) return fetch(...args);
    open += 1;
    return fetch(...args).finally(() => (open -= 1));
  };
  for (const event of ['pointerdown', 'keydown']) addEventListener(event, () => (pressed ||= performance.now()), { capture: true });
  const frame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  globalThis.settled = async () => {
    do {
      await frame();
    } while (open > 0 || document.querySelector('main p[role="status"].quiet'));
    const took = performance.now() - pressed;
    pressed = 0;
    return took;
  };
  globalThis.isDrawn = () => {
    const canvas = document.querySelector('canvas');
    return Boolean(canvas?.width && canvas.getContext('2d').getImageData(canvas.width >> 1, canvas.height >> 1, 1, 1).data[3]);
  };
}

async function viewer(file) {
  const begun = performance.now();
  const server = spawn(process.execPath, [BIN, 'view', file, '--no-open'], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, SSH_CONNECTION: '' } });
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  try {
    const loaded = new Promise((resolve) => server.stderr.setEncoding('utf8').on('data', (text) => /loaded/.test(text) && resolve(performance.now())));
    const address = await new Promise((resolve) => server.stdout.setEncoding('utf8').once('data', (text) => resolve(text.trim())));
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    page.setDefaultTimeout(LONGEST);
    await page.addInitScript(watch);
    await page.goto(address);
    const [since] = await Promise.all([loaded, page.waitForFunction(() => globalThis.isDrawn(), undefined, { polling: 'raf', timeout: LONGEST })]);
    const shown = performance.now();
    const found = [];
    for (let round = 0; round < ROUNDS; round++) found.push(...(await clicks(page, round)));
    const memory = await rendererMemory(browser);
    found.sort((a, b) => a.took - b.took);
    return {
      first: Math.max(0, shown - since), load: shown - begun, clicks: found.map(({ took }) => took), slowest: found.slice(-3).reverse(), memory, server: privateMemory(server.pid),
    };
  } finally {
    await browser.close();
    server.kill();
  }
}

/** Once through what people do; another place in the heap in each round, so that nothing is answered from what is kept. */
async function clicks(page, round) {
  const found = [];
  const press = async (what, locator, position) => {
    await locator.waitFor();
    await locator.scrollIntoViewIfNeeded();
    await locator.click({ position, noWaitAfter: true });
    found.push({ what, took: await page.evaluate(() => globalThis.settled()) });
  };
  const way = (name) => page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name, exact: true });
  const row = (table, index) => page.getByRole('table', { name: table, exact: true }).first().locator('tbody tr').nth(index);
  await press('Tree', way('Tree'));
  const canvas = page.locator('canvas');
  const { width, height } = await canvas.boundingBox();
  await press('into the treemap', canvas, { x: width * (0.3 + 0.08 * round), y: height * 0.5 });
  await press('Shortest paths', way('Tree'));
  await press('by shortest paths', page.getByRole('link', { name: 'Shortest paths' }));
  await press('by objects', page.getByRole('link', { name: 'Objects', exact: true }).last());
  await press('Icicle', page.getByRole('link', { name: 'Icicle' }));
  await press('Classes', way('Classes'));
  await press('a class', row('Classes', 1 + round).locator('a').first());
  await press('an object', row('Objects', 2 + round).locator('a').first());
  const holders = page.locator('section', { hasText: 'Held by' }).locator('button.fold');
  if ((await holders.count()) > 0) await press('what holds its holder', holders.first());
  const ignore = page.locator('a.ignore');
  if ((await ignore.count()) > 0) await press('ignore a retainer', ignore.first());
  await press('Suspects', way('Suspects'));
  await press('Strings', way('Strings'));
  await press('Packages', way('Packages'));
  const search = page.getByRole('search').locator('input');
  await search.fill(['Session', 'Map', 'user 1', 'roles', 'Array'][round % 5]);
  await search.press('Enter', { noWaitAfter: true });
  found.push({ what: 'search', took: await page.evaluate(() => globalThis.settled()) });
  await press('Overview', way('Overview'));
  return found;
}

/** Private memory of the page's process: what Chrome's task manager calls its footprint. */
async function rendererMemory(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  return Math.max(...processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => privateMemory(id)));
}

function privateMemory(pid) {
  const [, kilobytes] = /^RssAnon:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(kilobytes) * 1024;
}

async function devtools(file) {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'heapdump-rs-devtools-'));
  const context = await chromium.launchPersistentContext(profile, { executablePath: CHROMIUM, args: [...FLAGS, '--headless'] });
  try {
    const page = await context.newPage();
    await page.goto(DEVTOOLS);
    await page.locator('#tab-heap-profiler').click();
    const input = page.locator('input[type=file]').first();
    await input.waitFor({ state: 'attached' });
    const begun = performance.now();
    await input.setInputFiles(file);
    // "(Loading… 21%)" at first, then the size: "(4.3 MB)".
    await page.locator('li[role=treeitem]:visible').filter({ hasText: /\([\d.,]+\s*[kMGT]?B\)/ }).click({ timeout: LONGEST });
    await page.locator('tr.data-grid-data-grid-node').first().waitFor({ timeout: LONGEST });
    const load = performance.now() - begun;
    return { load, memory: await rendererMemory(context.browser()) };
  } finally {
    await context.close();
    fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

/** User CPU of `report` and of `suspects`, in turn. */
function cpu(file, pairs) {
  const measure = (...args) => {
    const { stderr, status } = spawnSync('/usr/bin/time', ['-f', '%U', process.execPath, BIN, ...args], { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
    if (status !== 0) throw new Problem(stderr);
    return Number(stderr.trim().split('\n').at(-1));
  };
  const ratios = [];
  for (let pair = 0; pair < pairs; pair++) {
    const report = measure('report', file, '-o', '-');
    const suspects = measure('suspects', file);
    ratios.push({ report, suspects, ratio: report / suspects });
  }
  if (ratios.length === 0) return;
  ratios.sort((a, b) => a.ratio - b.ratio);
  const { report, suspects, ratio } = at(ratios, 0.5);
  print(`CPU of report : suspects, median of ${pairs}`, `${ratio.toFixed(2)} (${report.toFixed(2)} s, ${suspects.toFixed(2)} s; ${ratios[0].ratio.toFixed(2)} to ${ratios.at(-1).ratio.toFixed(2)})`);
}

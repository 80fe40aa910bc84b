// npm run test:viewer: the report and the viewer in a real browser. Every page is opened, its numbers are those of the commands, the keyboard
// reaches all, nothing is said on the console and no request leaves the page. In Firefox too, where Debian's is installed (firefox-esr).
// `--quick`: Chromium alone, the looks that matter most. `--shots DIR` keeps pictures, in light and dark, wide and narrow. `--large FILE`
// opens every page of a file of its own. Needs chromium (Debian: apt-get install chromium).

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { chromium } from 'playwright-core';

import limits from '../../harness/limits.cjs';
import { dim, green, main, red, root } from '../../harness/run.mjs';
import { makeTemporaryDirectory } from '../support/files.mjs';
import { hostileHeap, leakingServer } from '../support/heaps.mjs';
import { FIREFOX } from './firefox.mjs';
import { findDetached, followDetached, snapshotOfPage } from './in-chrome.mjs';
import { testFirefox } from './in-firefox.mjs';
import { keyboard } from './keyboard.mjs';

const BIN = join(root, 'bin/heapdump-rs.js');
const QUICK = process.argv.includes('--quick');
const valueOf = (name) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : undefined);
const SHOTS = valueOf('--shots');
const LARGE = valueOf('--large');
const BROWSER = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((file) => existsSync(file));
const LOOKS = [['light', 1280], ['dark', 1280], ['light', 390], ['dark', 390]];
const PAGES = ['overview', 'tree', 'tree?shape=icicle', 'growth', 'suspects', 'objects', 'classes', 'strings', 'packages'];
const LIVE = ['compare', 'class/Session', 'search/Entry', 'tree?by=paths&measure=objects', 'objects?where=retained+%3E+1MB'];

const command = (...args) => execFileSync(process.execPath, [BIN, ...args], { encoding: 'utf8', timeout: limits.WAIT, stdio: ['ignore', 'pipe', 'pipe'] });
const json = (...args) => JSON.parse(command(...args, '--json'));

/** A page of a browser, and whatever it said or asked for that it should not have. */
async function open(browser, address, { scheme = 'light', width = 1280, height = 900 } = {}) {
  const context = await browser.newContext({ colorScheme: scheme, viewport: { width, height } });
  context.setDefaultTimeout(limits.WAIT);
  const page = await context.newPage();
  const faults = [];
  page.on('console', (message) => faults.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
  // Of the page, its frames and workers. From disk there is but the file; the viewer asks its server alone.
  const own = new URL(address);
  const isOwn = ({ origin, href, pathname }) =>
    own.protocol === 'file:' ? href.split('#')[0] === own.href.split('#')[0] : origin === own.origin && ['/', '/status', '/report', '/ask'].includes(pathname);
  context.on('request', (request) => {
    // The icon, which is none.
    if (request.url() !== 'data:,' && !isOwn(new URL(request.url()))) faults.push(`request: ${request.url()}`);
  });
  page.on('websocket', (socket) => faults.push(`request: ${socket.url()}`));
  context.on('page', (other) => faults.push(`another page: ${other.url()}`));
  await page.goto(address);
  await page.waitForSelector('nav[aria-label="Pages"]', { timeout: limits.FILE });
  const go = async (route) => {
    await page.evaluate((to) => void (location.hash = `#/${to === 'overview' ? '' : to}`), route);
    await page.waitForFunction(() => document.querySelector('main h1') && !document.querySelector('main p[role="status"].quiet'));
  };
  return { page, faults, go, close: () => context.close() };
}

/** The cells of a table, row by row. */
const cells = (page, name) =>
  page.getByRole('table', { name, exact: true }).first().locator('tbody tr').evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.innerText.trim())));

async function everyPage({ page, faults, go }, routes, look) {
  for (const route of routes) {
    await go(route);
    assert.notEqual((await page.locator('main h1').innerText()).trim(), '', route);
    assert.equal(await page.locator('.problem').count(), 0, route);
    const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(beyond <= 0, `${route} is ${beyond} px too wide at ${look}`);
    if (SHOTS) await page.screenshot({ path: join(SHOTS, `${look}-${route.replace(/\W+/g, '_')}.png`), fullPage: true });
  }
  assert.deepEqual(faults, []);
}

async function numbers({ page, go }, last) {
  const { classes } = json('summary', last, '--limit', '12');
  await go('overview');
  const grouped = (value) => value.toLocaleString('en-US');
  const shown = await cells(page, 'Classes');
  assert.deepEqual(shown.map(([name, count]) => [name, count]), classes.map(({ name, count }) => [name, grouped(count)]));
  const printed = command('summary', last, '--limit', '12').split('\n');
  for (const [name, , shallow, retained] of shown) {
    assert.ok(printed.some((line) => line.startsWith(name) && line.includes(shallow) && line.includes(retained)), `${name} ${shallow} ${retained}`);
  }
}

async function live({ page, go }, last) {
  await page.keyboard.press('/');
  await page.keyboard.type('Session');
  await page.keyboard.press('Enter');
  await page.getByRole('table', { name: 'Objects' }).waitFor();
  assert.equal(await page.locator('main h1').innerText(), 'Found: Session');
  await go('class/Session');
  const { count, objects } = json('objects', last, '--class', 'Session', '--limit', '1');
  await page.getByText(`${count.toLocaleString('en-US')} objects`).first().waitFor();
  await page.getByRole('button', { name: 'What would be freed without them?' }).click();
  const freed = json('summary', last, '--without', 'Session', '--limit', '1').selection;
  await page.getByText(`in ${freed.objects.toLocaleString('en-US')} objects would be freed`).waitFor();
  const { retainers, path } = json('inspect-object', last, '--object-id', `@${objects[0].id}`);
  await go(`object/${objects[0].id}`);
  assert.equal((await page.locator('.way').first().innerText()).trim(), path.text);
  await page.locator('section', { hasText: 'Held by' }).locator('button.fold').first().click();
  await page.locator('.references.below li').first().waitFor();
  await page.locator('a.ignore').first().click();
  await page.waitForFunction((id) => location.hash.includes(`ignore=${id}`), retainers[0].object.id);
  await page.getByText('Ignore none of').waitFor();
  // A link for every state: opened anew, it shows the same.
  const [address, title] = [page.url(), await page.locator('main h1').innerText()];
  await page.reload();
  await page.waitForSelector('nav[aria-label="Pages"]');
  assert.deepEqual([page.url(), await page.locator('main h1').innerText()], [address, title]);
}

async function view(files) {
  const server = spawn(process.execPath, [BIN, 'view', ...files, '--no-open'], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, SSH_CONNECTION: '' } });
  for await (const piece of server.stdout.setEncoding('utf8')) return { server, address: piece.trim() };
  throw new Error('the viewer ended');
}

async function detached(browser, directory) {
  const file = await snapshotOfPage(browser, directory.at('page.heapsnapshot'));
  const report = directory.at('page.html');
  command('report', file, '-o', report);
  const onDisk = await open(browser, pathToFileURL(report).href);
  await everyPage(onDisk, PAGES.filter((page) => page !== 'growth'), 'page');
  await findDetached(onDisk);
  await onDisk.close();
  const { server, address } = await view([file]);
  try {
    const at = await open(browser, address);
    await findDetached(at);
    await followDetached(at);
    assert.deepEqual(at.faults, []);
    await at.close();
  } finally {
    server.kill();
  }
}

async function large(browser, file) {
  const { server, address } = await view([file]);
  try {
    const at = await open(browser, address);
    await everyPage(at, [...PAGES, ...LIVE].filter((page) => page !== 'growth' && page !== 'compare'), 'large');
    await numbers(at, file);
    await at.close();
  } finally {
    server.kill();
  }
}

await main(async () => {
  if (BROWSER === undefined) {
    console.log('test:viewer: skipped, there is no Chromium here: apt-get install chromium');
    process.exitCode = QUICK ? 0 : 1;
    return;
  }
  if (SHOTS) mkdirSync(SHOTS, { recursive: true });
  const [directory, other] = [makeTemporaryDirectory(), makeTemporaryDirectory()];
  const browser = await chromium.launch({ executablePath: BROWSER, args: ['--no-sandbox'] });
  const step = async (title, body) => {
    const start = performance.now();
    try {
      await body();
      console.log(`${green('✓')} ${title} ${dim(`${Math.round(performance.now() - start)} ms`)}`);
    } catch (error) {
      console.log(`${red('✗')} ${title}\n${error.stack}`);
      process.exitCode = 1;
    }
  };
  try {
    const snapshots = leakingServer(directory, 3);
    const last = snapshots.at(-1);
    const file = directory.at('report.html');
    command('report', ...snapshots, '-o', file);
    const disk = pathToFileURL(file).href;
    for (const [scheme, width] of QUICK ? LOOKS.slice(0, 1) : LOOKS) {
      await step(`the report from disk, ${scheme}, ${width} px`, async () => {
        const at = await open(browser, disk, { scheme, width });
        await everyPage(at, PAGES, `report-${scheme}-${width}`);
        await at.close();
      });
    }
    await step("the report's numbers, and the keyboard", async () => {
      const at = await open(browser, disk);
      await numbers(at, last);
      await keyboard(at, ['overview', 'tree', 'suspects', 'growth', 'strings']);
      assert.deepEqual(at.faults, []);
      await at.close();
    });
    await step('a heap full of markup', async () => {
      const hostile = other.at('hostile.html');
      command('report', hostileHeap(other), '-o', hostile, '--values');
      const at = await open(browser, pathToFileURL(hostile).href);
      at.page.on('dialog', () => at.faults.push('a dialog'));
      await everyPage(at, PAGES.filter((page) => page !== 'growth'), 'hostile');
      assert.equal(await at.page.locator('img').count(), 0);
      await at.close();
    });
    const { server, address } = await view(snapshots);
    try {
      for (const [scheme, width] of QUICK ? LOOKS.slice(0, 1) : LOOKS) {
        await step(`the viewer, ${scheme}, ${width} px`, async () => {
          const at = await open(browser, address, { scheme, width });
          await everyPage(at, [...PAGES, ...LIVE], `view-${scheme}-${width}`);
          await at.close();
        });
      }
      await step('the viewer: search, class, object, retainers, what is ignored, a link', async () => {
        const at = await open(browser, address);
        await numbers(at, last);
        await live(at, last);
        const [{ id }] = json('objects', last, '--class', 'Session', '--limit', '1').objects;
        await keyboard(at, [`object/${id}`, 'class/Session', 'compare']);
        assert.deepEqual(at.faults, []);
        await at.close();
      });
      if (FIREFOX !== undefined && !QUICK) {
        const { classes } = json('summary', last, '--limit', '12');
        await testFirefox({ disk, live: address, pages: PAGES, livePages: LIVE, classes }, step);
      } else if (!QUICK) console.log('Firefox: skipped, there is none here: apt-get install firefox-esr');
    } finally {
      server.kill();
    }
    await step('the heap of a page of Chromium: its detached elements are found', () => detached(browser, other));
    if (LARGE) await step(`every page of ${LARGE}`, () => large(browser, LARGE));
  } finally {
    await browser.close();
    directory.remove();
    other.remove();
  }
});

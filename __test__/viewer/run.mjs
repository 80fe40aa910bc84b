// npm run test:viewer: the report and the viewer in a real browser. Every page is opened, its numbers are those of the commands, the keyboard
// reaches all, nothing is said on the console and no request leaves the page. `--quick`: one Node.js, the sizes that matter most.
// `--shots DIR` keeps pictures, in light and dark, wide and narrow. Needs chromium (Debian: apt-get install chromium).

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

const BIN = join(root, 'bin/heapdump-rs.js');
const QUICK = process.argv.includes('--quick');
const SHOTS = process.argv.includes('--shots') ? process.argv[process.argv.indexOf('--shots') + 1] : undefined;
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
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== new URL(address).origin) faults.push(`request: ${request.url()}`);
  });
  await page.goto(address);
  await page.waitForSelector('nav[aria-label="Pages"]');
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

/** Without a mouse: to each link and button by Tab, and through the drawing by arrows. */
async function keyboard({ page, go }) {
  await go('tree');
  const canvas = page.locator('canvas');
  await canvas.focus();
  await page.keyboard.press('ArrowDown');
  assert.notEqual(await page.locator('#drawing-said').innerText(), '');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => location.hash.includes('within='));
  await canvas.focus();
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => !location.hash.includes('within=%40') && !location.hash.includes('within=c'));
  await go('classes');
  await page.getByRole('button', { name: 'Objects', exact: true }).focus();
  await page.keyboard.press('Enter');
  assert.equal(await page.locator('th[aria-sort="descending"]').innerText(), 'Objects');
  await page.keyboard.press('Enter');
  assert.equal(await page.locator('th[aria-sort="ascending"]').innerText(), 'Objects');
  await go('overview');
  const wanted = await page.evaluate(() => {
    const all = [...document.querySelectorAll('a[href], button, input, select, canvas, summary')].filter((element) => element.checkVisibility());
    for (const [index, element] of all.entries()) element.dataset.wanted = String(index);
    document.activeElement?.blur();
    return all.length;
  });
  const reached = new Set();
  for (let presses = 0; presses < 2 * wanted + 40 && reached.size < wanted; presses++) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(() => document.activeElement?.dataset.wanted);
    if (at !== undefined) reached.add(at);
  }
  assert.equal(reached.size, wanted, `Tab reaches ${reached.size} of ${wanted}`);
  const nameless = await page.evaluate(() =>
    [...document.querySelectorAll('a[href], button, input, select')].filter((element) => !(element.innerText || element.textContent || element.ariaLabel || element.labels?.length)).length);
  assert.equal(nameless, 0);
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
      await keyboard(at);
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
        assert.deepEqual(at.faults, []);
        await at.close();
      });
    } finally {
      server.kill();
    }
  } finally {
    await browser.close();
    directory.remove();
    other.remove();
  }
});

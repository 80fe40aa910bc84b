// npm run pictures: the screenshots of README.md and docs/, made anew into docs/images: the pause beside Node's own as a chart, of the
// figures in docs/measured.md; the report and the viewer in Chromium, light and dark, wide and narrow; the terminal, with what the command
// really says. Of a program whose content is always the same (pictures/server.js). `-- DIR` puts them there instead, and with them those
// that only their makers look at: dark and light, wide and narrow. Needs chromium.

import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

import { chromium } from 'playwright-core';

import { Problem, dim, green, main, root } from '../harness/run.mjs';
import { pauseChart, terminal } from './pictures/pages.mjs';

const BIN = join(root, 'bin/heapdump-rs.js');
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((file) => fs.existsSync(file));
/** Bytes of a picture. */
const LARGEST = 300_000;
const WIDE = { width: 1280, height: 860 };
const NARROW = { width: 390, height: 844 };
/** What pages show; the others are to be looked at. */
const SHOWN = ['pause', 'terminal', 'report', 'viewer', 'object'];

/** Its snapshots, the earliest first. */
function program(directory) {
  fs.copyFileSync(join(root, 'tools/pictures/server.js'), join(directory, 'server.js'));
  execFileSync(process.execPath, ['--max-old-space-size=512', 'server.js'], { cwd: directory });
  return fs.readdirSync(directory).filter((name) => name.endsWith('.heapsnapshot')).sort();
}

async function viewer(directory, snapshots, body) {
  const server = spawn(process.execPath, [BIN, 'view', ...snapshots, '--no-open'], { cwd: directory, stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, SSH_CONNECTION: '' } });
  try {
    await body(await new Promise((found) => server.stdout.setEncoding('utf8').once('data', (text) => found(text.trim()))));
  } finally {
    server.kill();
  }
}

class Studio {
  #browser;
  #out;
  #all;

  constructor(browser, out, all) {
    this.#browser = browser;
    this.#out = out;
    this.#all = all;
  }

  /** A page of the report or the viewer, once all is there. */
  async page(name, address, { scheme, size, route }) {
    if (!this.#all && !SHOWN.includes(name)) return;
    await this.#with({ scheme, size }, async (page) => {
      await page.goto(address);
      await page.waitForSelector('nav[aria-label="Pages"]', { timeout: 0 });
      if (route) await page.evaluate((to) => void (location.hash = `#${to}`), route);
      await page.waitForFunction(() => document.querySelector('main h1') && !document.querySelector('main p[role="status"].quiet'));
      // No ring around the title, which has the focus.
      await page.evaluate(() => document.activeElement?.blur());
      await this.#keep(name, page);
    });
  }

  /** A page of its own, as high as it is. */
  async html(name, html, { scheme, width }) {
    if (!this.#all && !SHOWN.includes(name)) return;
    await this.#with({ scheme, size: { width, height: 100 } }, async (page) => {
      await page.setContent(html);
      await this.#keep(name, page, { fullPage: true });
    });
  }

  async #with({ scheme, size }, body) {
    const context = await this.#browser.newContext({ colorScheme: scheme, viewport: size, deviceScaleFactor: size.width < 500 ? 2 : 1.5, reducedMotion: 'reduce', locale: 'en-US', timezoneId: 'UTC' });
    try {
      await body(await context.newPage());
    } finally {
      await context.close();
    }
  }

  async #keep(name, page, options) {
    const file = join(this.#out, `${name}.png`);
    await page.evaluate(() => document.fonts.ready);
    const { length } = await page.screenshot({ path: file, animations: 'disabled', ...options });
    if (length > LARGEST) throw new Problem(`${file} has ${length} bytes, and ${LARGEST} are the most`);
    console.log(`${green('✓')} ${name}.png ${dim(`${Math.round(length / 1000)} kB`)}`);
  }
}

await main(async () => {
  if (CHROMIUM === undefined) throw new Problem('there is no Chromium here: apt-get install chromium');
  const out = resolve(process.argv[2] ?? join(root, 'docs/images'));
  fs.mkdirSync(out, { recursive: true });
  // Its name is in the pictures.
  const directory = join(os.tmpdir(), 'shop');
  if (fs.existsSync(directory)) throw new Problem(`${directory} is there already`);
  fs.mkdirSync(directory, { mode: 0o700 });
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--font-render-hinting=none'] });
  try {
    const studio = new Studio(browser, out, process.argv[2] !== undefined);
    const snapshots = program(directory);
    const command = (...args) => execFileSync(process.execPath, [BIN, ...args], { cwd: directory, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    for (const scheme of ['light', 'dark']) {
      await studio.html(scheme === 'light' ? 'pause' : 'pause-dark', pauseChart(fs.readFileSync(join(root, 'docs/measured.md'), 'utf8')), { scheme, width: 860 });
    }
    await studio.html('terminal', terminal('npx heapdump-rs find-leaks --snapshot-dir . --limit 2', command('find-leaks', '--snapshot-dir', '.', '--limit', '2')), { scheme: 'dark', width: 1120 });
    command('report', ...snapshots, '-o', 'report.html');
    const report = pathToFileURL(join(directory, 'report.html')).href;
    await studio.page('report', `${report}#/`, { scheme: 'light', size: WIDE });
    await studio.page('report-dark', `${report}#/`, { scheme: 'dark', size: WIDE });
    await studio.page('report-narrow', `${report}#/`, { scheme: 'light', size: NARROW });
    await viewer(directory, snapshots, async (address) => {
      await studio.page('viewer', address, { scheme: 'dark', size: WIDE, route: '/tree' });
      await studio.page('viewer-light', address, { scheme: 'light', size: WIDE, route: '/tree' });
      await studio.page('viewer-narrow', address, { scheme: 'dark', size: NARROW, route: '/tree' });
      const [{ id }] = JSON.parse(command('objects', snapshots.at(-1), '--class', 'Session', '--limit', '1', '--json')).objects;
      await studio.page('object', address, { scheme: 'light', size: WIDE, route: `/object/${id}` });
    });
  } finally {
    await browser.close();
    fs.rmSync(directory, { recursive: true, force: true });
  }
});

// Opens snapshot files in real Chrome DevTools (Memory panel, "Load profile") and shows what its Summary view makes of
// them: the rows as text, the view as a PNG. The tests read snapshots with parsers of our own; this asks the program
// that people open them with. Not part of `npm test`: it needs a browser.
//
//   node tools/devtools.mjs app.heapsnapshot [more.heapsnapshot …] <directory for the PNGs>
//
// Needs `chromium` on the PATH (Debian: apt-get install chromium) and the npm package `playwright-core`, installed in
// the working directory, here, or in a directory that NODE_PATH names. Exit code 1 if a file does not load. That a file
// loads does not prove it whole: DevTools also takes most wrong node and edge counts, often without a word.

import { accessSync, constants, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, delimiter, join, resolve } from 'node:path';
import { Problem, bold, dim, green, main, red, seconds } from '../harness/run.mjs';

const USAGE = 'Usage: node tools/devtools.mjs <snapshot file> [more files …] <directory for the PNGs>';
const PAGE = 'devtools://devtools/bundled/js_app.html';
const START = 30_000;
const LOAD = 10 * 60_000; // parsing and the dominator tree of a big heap
const FLAGS = [
  ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--lang=en-US'],
  ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
];

/** What `check` holds for, of a path that may not exist. */
function is(path, check) {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats !== undefined && check(stats);
}

function readArguments() {
  const paths = process.argv.slice(2);
  const out = paths.pop();
  if (paths.length === 0) throw new Problem(USAGE);
  if (is(out, (stats) => !stats.isDirectory())) throw new Problem(`${out} is not a directory.\n${USAGE}`);
  for (const file of paths) {
    if (!is(file, (stats) => stats.isFile())) throw new Problem(`${file} is not a file.\n${USAGE}`);
  }
  mkdirSync(out, { recursive: true });
  return { files: paths.map((file) => resolve(file)), out };
}

function findChromium() {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(directory, 'chromium');
    try {
      accessSync(path, constants.X_OK);
      if (is(path, (stats) => stats.isFile())) return path;
    } catch {
      // not in this one
    }
  }
  throw new Problem('`chromium` is not on the PATH. On Debian: apt-get install --no-install-recommends chromium');
}

function loadPlaywright() {
  for (const base of [join(process.cwd(), 'here.js'), import.meta.url]) {
    try {
      return createRequire(base)('playwright-core').chromium;
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  throw new Problem(
    'The npm package playwright-core is not installed. In any directory: npm install playwright-core,\n' +
      'then run this with that directory as the working directory, or with NODE_PATH=<directory>/node_modules.',
  );
}

/** Loads one file in a DevTools of its own. Rejects with what DevTools said when it does not load. */
async function open(browser, file, png) {
  const page = await browser.newPage();
  try {
    const warnings = [];
    page.on('console', (message) => {
      if (message.text().startsWith('Heap snapshot')) warnings.push(message.text().split('\n')[0]);
    });
    await page.goto(PAGE);
    await page.locator('#tab-heap-profiler').click({ timeout: START });
    // A file that cannot be read is an uncaught error of the page; the sidebar then says "Loading…" for ever.
    const failed = new Promise((_, reject) => page.on('pageerror', reject));
    const loaded = async () => {
      const input = page.locator('input[type=file]').first();
      await input.waitFor({ state: 'attached', timeout: START });
      await input.setInputFiles(file);
      // The item's second line is "(Loading… 21%)" at first, then the size: "(4.3 MB)".
      const item = page.locator('li[role=treeitem]:visible').filter({ hasText: /\([\d.,]+\s*[kMGT]?B\)/ });
      await item.click({ timeout: LOAD });
      await page.locator('tr.data-grid-data-grid-node').first().waitFor({ timeout: LOAD });
      await page.waitForTimeout(500); // the rest of the rows, and the totals in the toolbar
    };
    const loading = loaded();
    loading.catch(() => {}); // closing the page ends it, after `failed` won
    await Promise.race([loading, failed]);
    await page.screenshot({ path: png });
    const view = await page.locator('select[aria-label=Perspective] option:checked').innerText();
    const total = await page.getByText(/^[\d,.]+\s+objects?\s+\(.*\)$/).allInnerTexts();
    const rows = [];
    for (const row of await page.locator('tr.data-grid-data-grid-node:visible').all()) {
      // A size's label says "24.0 kB, 1 %", its text "24.0 kB1 %"; a name's text ends with its count: "Map×20".
      const cells = await row
        .locator('td')
        .evaluateAll((all) => all.map((cell) => cell.getAttribute('aria-label') ?? cell.innerText));
      rows.push(cells.map((cell) => cell.replace(/\s+/g, ' ').replace(/×([\d,.]+)$/, ' ×$1').trim()).filter(Boolean));
    }
    return { view, total: total.join(' '), rows, warnings };
  } finally {
    await page.close();
  }
}

await main(async () => {
  const { files, out } = readArguments();
  const executablePath = findChromium();
  const chromium = loadPlaywright();
  const profile = mkdtempSync(join(tmpdir(), 'heapdump-rs-devtools-'));
  let browser;
  let bad = 0;
  try {
    const viewport = { width: 1400, height: 1100 };
    browser = await chromium.launchPersistentContext(profile, { executablePath, args: FLAGS, viewport });
    console.log(dim(`Chromium ${browser.browser()?.version() ?? ''}`));
    for (const [index, file] of files.entries()) {
      const png = join(out, `${index + 1}-${basename(file)}.png`);
      const start = performance.now();
      try {
        const { view, total, rows, warnings } = await open(browser, file, png);
        console.log(`\n${green('✓')} ${bold(file)}: ${view}, ${total} ${dim(seconds(performance.now() - start))}`);
        for (const [name, ...numbers] of rows) console.log(`  ${name.padEnd(50)} ${numbers.join(' | ')}`);
        for (const warning of warnings) console.log(dim(`  DevTools warns: ${warning}`));
        console.log(`  ${png}`);
      } catch (error) {
        bad += 1;
        console.log(`\n${red('✗')} ${bold(file)} did not load: ${error.message}`);
      }
    }
  } finally {
    await browser?.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
  console.log(`\nfiles: ${files.length - bad} loaded, ${bad} not`);
  if (bad > 0) process.exitCode = 1;
});

// The report and the viewer in Firefox: every page, the numbers, the keyboard, nothing said and nothing asked for.

import assert from 'node:assert/strict';

import { startFirefox } from './firefox.mjs';

/**
 * @param {{ disk: string, live: string, pages: string[], livePages: string[], classes: Array<{name: string, count: number}> }} wanted addresses,
 * routes, and what the command says of the classes
 */
export async function testFirefox({ disk, live, pages, livePages, classes }, step) {
  const firefox = await startFirefox();
  try {
    for (const [what, address, routes] of [['the report from disk', disk, pages], ['the viewer', live, [...pages, ...livePages]]]) {
      for (const width of [1280, 390]) {
        await step(`Firefox ${firefox.version}: ${what}, ${width} px`, async () => {
          const page = await firefox.open(address, { width });
          for (const route of routes) await look(page, route);
          if (width === 1280) {
            await numbers(page, classes);
            await keyboard(page);
          }
          assert.deepEqual(page.faults, []);
          await page.close();
        });
      }
    }
  } finally {
    await firefox.close();
  }
}

async function look(page, route) {
  await page.go(route);
  const { title, problems, beyond } = await page.evaluate(`({
    title: document.querySelector('main h1').innerText.trim(),
    problems: document.querySelectorAll('.problem').length,
    beyond: document.documentElement.scrollWidth - innerWidth,
  })`);
  assert.notEqual(title, '', route);
  assert.equal(problems, 0, route);
  assert.ok(beyond <= 0, `${route} is ${beyond} px too wide`);
}

async function numbers(page, classes) {
  await page.go('overview');
  const shown = await page.evaluate(`[...[...document.querySelectorAll('table')].find((table) => table.caption?.textContent.trim() === 'Classes')
    .tBodies[0].rows].map((row) => [...row.cells].slice(0, 2).map((cell) => cell.innerText.trim()))`);
  assert.deepEqual(shown, classes.map(({ name, count }) => [name, count.toLocaleString('en-US')]));
}

async function keyboard(page) {
  await page.go('overview');
  const wanted = await page.evaluate(`(() => {
    const all = [...document.querySelectorAll('a[href], button, input, select, canvas, summary')].filter((element) => element.checkVisibility());
    for (const [index, element] of all.entries()) element.dataset.wanted = String(index);
    document.activeElement?.blur();
    return all.length;
  })()`);
  const reached = new Set();
  for (let presses = 0; presses < 2 * wanted + 40 && reached.size < wanted; presses++) {
    await page.tab();
    const at = await page.evaluate('document.activeElement?.dataset?.wanted ?? null');
    if (at !== null) reached.add(at);
  }
  assert.equal(reached.size, wanted, `Tab reaches ${reached.size} of ${wanted}`);
}

// The pages without a mouse.

import assert from 'node:assert/strict';

/** Of keys, until something is reached. */
const MOST = 1000;

/** To each link and button of some pages by Tab, and through the drawing and a table by other keys. */
export async function keyboard({ page, go }, routes) {
  await go('tree');
  const canvas = page.locator('canvas');
  await canvas.focus();
  await page.keyboard.press('ArrowDown');
  assert.notEqual(await page.locator('#drawing-said').innerText(), '');
  await page.keyboard.press('Enter');
  // The title takes the focus once the page is drawn; a key before that would be lost.
  await page.waitForFunction(() => location.hash.includes('within=') && document.activeElement?.tagName === 'H1');
  await canvas.focus();
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => !location.hash.includes('within=%40') && !location.hash.includes('within=c'));
  await go('classes');
  await page.getByRole('button', { name: 'Objects', exact: true }).focus();
  await page.keyboard.press('Enter');
  assert.equal(await page.locator('th[aria-sort="descending"]').innerText(), 'Objects');
  await page.keyboard.press('Enter');
  assert.equal(await page.locator('th[aria-sort="ascending"]').innerText(), 'Objects');
  for (const route of routes) {
    await go(route);
    await reachAll(page, route);
  }
  // From wherever that was to another page.
  await go('overview');
  const at = () => page.evaluate(() => document.activeElement?.getAttribute('href'));
  for (let presses = 0; presses < MOST && (await at()) !== '#/suspects'; presses++) await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => location.hash === '#/suspects' && document.activeElement?.tagName === 'H1');
}

async function reachAll(page, route) {
  const wanted = await page.evaluate(() => {
    const all = [...document.querySelectorAll('a[href], button, input, select, canvas, summary')].filter((element) => element.checkVisibility() && !element.matches(':disabled'));
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
  assert.equal(reached.size, wanted, `${route}: Tab reaches ${reached.size} of ${wanted}`);
  const nameless = await page.evaluate(() =>
    [...document.querySelectorAll('a[href], button, input, select')].filter((element) => !(element.innerText || element.textContent || element.ariaLabel || element.labels?.length)).length);
  assert.equal(nameless, 0, route);
}

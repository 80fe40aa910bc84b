// A page's own heap: elements that were taken out of it and are still held are found in its report and in the viewer.

import assert from 'node:assert/strict';
import { closeSync, openSync, writeSync } from 'node:fs';

/** 250 sections in the page, and as many that a list holds outside of it. */
const SHOP = `<!doctype html><title>shop</title><main id=shop></main><script>
class Row { constructor(i) { this.element = document.createElement('section'); this.element.innerHTML = '<p>price of ' + i + '</p>'; } }
var removedRows = [];
for (let i = 0; i < 500; i++) {
  const row = new Row(i);
  shop.append(row.element);
  if (i % 2) { row.element.remove(); removedRows.push(row); }
}
</script>`;
export const DETACHED = 'Detached <section>';

/** Takes a snapshot of such a page as DevTools does. */
export async function snapshotOfPage(browser, file) {
  const page = await browser.newPage();
  await page.setContent(SHOP);
  const client = await page.context().newCDPSession(page);
  const output = openSync(file, 'w');
  client.on('HeapProfiler.addHeapSnapshotChunk', ({ chunk }) => writeSync(output, chunk));
  await client.send('HeapProfiler.takeHeapSnapshot', { reportProgress: false });
  closeSync(output);
  await page.close();
  return file;
}

/** In the table of classes, by its filter. */
export async function findDetached({ page, go }) {
  await go('classes');
  await page.getByLabel('Filter Classes').fill('Detached');
  const row = page.getByRole('table', { name: 'Classes', exact: true }).locator('tbody tr', { hasText: DETACHED }).first();
  assert.match(await row.innerText(), /\b250\b/);
}

/** From the class to one of them, and to what holds it. */
export async function followDetached({ page, go }) {
  await go(`class/${encodeURIComponent(DETACHED)}`);
  await page.getByText('250 objects').first().waitFor();
  await page.getByRole('table', { name: 'Objects' }).locator('tbody tr a').first().click();
  await page.waitForFunction(() => /^#\/object\//.test(location.hash));
  await page.locator('.way').first().waitFor();
  assert.match(await page.locator('.way').first().innerText(), /removedRows.*Row.*element/);
  await go('search/Detached');
  assert.ok((await page.getByRole('table', { name: 'Objects' }).locator('tbody tr').count()) > 0);
}

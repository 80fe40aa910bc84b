// The node in Node-RED's editor, in headless Chromium.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import limits from '../../harness/limits.cjs';
import { SEED } from './flows.mjs';

const DUMP = '194b13aa.03f90c';

export const findChromium = () =>
  ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((file) => existsSync(file));

export async function testEditor(server, { shots, tools }, step) {
  const { chromium } = createRequire(join(tools, 'package.json'))('playwright-core');
  const browser = await chromium.launch({ executablePath: findChromium(), args: ['--no-sandbox'] });
  try {
    const flow = SEED.map((node) => ({ ...node, x: node.x - 700, y: node.y - 200 }));
    await server.deploy([{ id: '15244fe6.9ae87', type: 'tab', label: 'Flow 1' }, ...flow]);
    await step('the dialog: fields, help, Done, Deploy', () => testDialog(server, browser, shots));
    await step('the dialog in German, and a translated status', () => testGerman(server, browser, shots));
    await step('the link to the report opens it', () => testReportLink(server, browser, shots));
  } finally {
    await browser.close();
  }
}

async function openEditor(server, browser, locale) {
  const context = await browser.newContext({ locale, viewport: { width: 1400, height: 900 } });
  context.setDefaultTimeout(limits.WAIT);
  const page = await context.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(error.message));
  await page.goto(server.url);
  await page.waitForFunction((id) => globalThis.RED?.nodes?.node(id) && document.getElementById(id), DUMP);
  return { page, errors };
}

async function openDialog(page) {
  await page.evaluate((id) => RED.editor.edit(RED.nodes.node(id)), DUMP);
  await page.locator('#node-input-directory').waitFor({ state: 'visible' });
  // The tray slides in.
  await page.waitForFunction(() => document.querySelector('.red-ui-tray')?.getBoundingClientRect().right <= innerWidth);
}

async function testDialog(server, browser, shots) {
  const { page, errors } = await openEditor(server, browser, 'en-US');
  assert.equal(await page.locator('.red-ui-palette-node[data-palette-type="heap-dump"]').count(), 1);
  await openDialog(page);
  assert.equal(await page.locator('#node-input-directory').inputValue(), '/tmp/bart');
  assert.equal(await page.locator('#node-input-createDir').isChecked(), true);
  assert.equal(await page.locator('#node-input-name').getAttribute('placeholder'), 'Name');
  assert.match(
    await page.locator('#dialog-form').innerText(),
    /Directory[^]*Create the directory if it does not exist[^]*passwords and tokens/,
  );
  await page.screenshot({ path: join(shots, 'dialog.png') });

  await page.locator('#node-input-directory').fill('/tmp/changed');
  await page.locator('#node-input-createDir').uncheck();
  await page.locator('#node-input-name').fill('after lunch');
  await page.locator('#node-dialog-ok').click();
  await page.locator('#red-ui-header-button-deploy').click();
  await page.waitForFunction(() => !RED.nodes.dirty());
  const saved = (await server.get('/flows')).find(({ id }) => id === DUMP);
  assert.deepEqual([saved.directory, saved.createDir, saved.name], ['/tmp/changed', false, 'after lunch']);

  await page.evaluate((id) => {
    RED.view.select(id);
    RED.sidebar.help.show('heap-dump');
  }, DUMP);
  const help = page.locator('.red-ui-help', { hasText: 'Writes a snapshot of Node-RED' }).last();
  await help.waitFor({ state: 'visible' });
  assert.match(await help.innerText(), /full path of the file/);
  await page.screenshot({ path: join(shots, 'help.png') });
  assert.deepEqual(errors, []);
  await page.context().close();
}

async function testReportLink(server, browser, shots) {
  const directory = mkdtempSync(join(tmpdir(), 'heapdump-node-red-'));
  try {
    const [dump, inject] = (await server.get('/flows')).filter(({ type }) => ['heap-dump', 'inject'].includes(type));
    const tab = { id: dump.z, type: 'tab', label: 'Flow 1' };
    await server.deploy([tab, { ...dump, directory, report: true }, inject]);
    const { page, errors } = await openEditor(server, browser, 'en-US');
    await openDialog(page);
    assert.equal(await page.locator('#node-input-report').isChecked(), true);
    assert.equal(await page.locator('#heap-dump-report').isVisible(), false, 'none was made yet');
    await page.locator('#node-dialog-cancel').click();
    await page.locator('.red-ui-tray').waitFor({ state: 'detached' });
    await server.inject(inject.id);
    await server.statuses(DUMP, /heapsnapshot$/);
    await openDialog(page);
    await page.locator('#heap-dump-report').waitFor({ state: 'visible' });
    const [report] = await Promise.all([page.waitForEvent('popup'), page.locator('#heap-dump-report').click()]);
    report.on('pageerror', (error) => errors.push(error.message));
    await report.waitForURL(/^blob:/);
    // Its own script has run.
    await report.locator('nav[aria-label="Pages"]').waitFor();
    assert.match(await report.locator('main h1').innerText(), /MB/);
    await report.screenshot({ path: join(shots, 'report.png') });
    assert.deepEqual(errors, []);
    await page.context().close();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function testGerman(server, browser, shots) {
  const { page, errors } = await openEditor(server, browser, 'de-DE');
  await openDialog(page);
  assert.match(await page.locator('#dialog-form').innerText(), /Verzeichnis[^]*anlegen, wenn es fehlt/);
  await page.screenshot({ path: join(shots, 'dialog-de.png') });
  await page.locator('#node-dialog-cancel').click();
  await page.locator('.red-ui-tray').waitFor({ state: 'detached' });
  // '/tmp/changed' is not there, and is not to be made.
  await server.inject('535cf64a.826208');
  await page.locator('.red-ui-flow-node-status-label', { hasText: 'Ungültiges Verzeichnis' }).waitFor();
  await page.screenshot({ path: join(shots, 'status-de.png') });
  assert.deepEqual(errors, []);
  await page.context().close();
}

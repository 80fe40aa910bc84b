// npm run test:node-red: the node of packages/node-red-contrib-heapdump-rs in the real Node-RED 4 and 5, over the admin API
// and the websocket, and its dialog in headless Chromium. `-- 4` picks a version. Installs into .cache/node-red, where the
// screenshots are afterwards.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { fetchNode } from '../../harness/nodes.mjs';
import { bold, green, main, root, step } from '../../harness/run.mjs';
import { findChromium, testEditor } from './editor.mjs';
import { testFlows } from './flows.mjs';
import { prepare } from './install.mjs';
import { startNodeRed } from './server.mjs';

/** Each with the oldest major of Node.js that it is tested on. */
const VERSIONS = { 4: { nodeRed: '4.1.15', node: '20' }, 5: { nodeRed: '5.0.7', node: '24' } };

await main(async () => {
  checkPackage();
  const wanted = process.argv.slice(2);
  for (const [major, { nodeRed, node }] of Object.entries(VERSIONS)) {
    if (wanted.length > 0 && !wanted.includes(major)) continue;
    const binary = await fetchNode(String(node));
    console.log(bold(`Node-RED ${nodeRed} on Node.js ${node}`));
    const installed = await prepare(nodeRed);
    const server = await startNodeRed(installed, binary);
    try {
      await step('admin API', () => testAdmin(server, major));
      await testFlows(server, step);
      if (findChromium() === undefined) await step('the dialog', () => assert.fail('no Chromium: apt-get install chromium'));
      else await testEditor(server, installed, step);
    } finally {
      await server.stop();
    }
  }
});

async function testAdmin(server, major) {
  const module = await server.get(`/nodes/node-red-contrib-heapdump-rs`);
  assert.equal(module.version, '0.1.0');
  const [set] = module.nodes;
  assert.deepEqual([set.types, set.enabled, set.err], [['heap-dump'], true, undefined]);
  assert.match((await server.get('/settings')).version, new RegExp(`^${major}\\.`));
  const html = await server.text('/nodes', 'text/html');
  assert.match(html, /data-template-name="heap-dump"/);
  assert.match(html, /data-help-name="heap-dump"/);
  const german = await server.get('/nodes/messages?lng=de');
  assert.equal(german['node-red-contrib-heapdump-rs/heap-dump']['heap-dump'].label.directory, 'Verzeichnis');
  const examples = JSON.stringify(await server.get('/library/examples/flows/node-red-contrib-heapdump-rs/'));
  assert.match(examples, /Dump on demand/);
}

/** The Flow Library's scorecard, as far as it needs no look at other packages (node-red-dev's rules P01 to P07, D01, N02). */
function checkPackage() {
  const directory = join(root, 'packages/node-red-contrib-heapdump-rs');
  const description = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  assert.equal(description.license, 'MIT');
  assert.ok(description.repository && description.bugs && description.keywords.includes('node-red'));
  assert.match(description.name, /^node-red-contrib-/);
  assert.ok(description['node-red'].version && description.engines.node);
  assert.ok(Object.keys(description.dependencies).length <= 6);
  const example = JSON.parse(readFileSync(join(directory, 'examples/Dump on demand.json'), 'utf8'));
  for (const type of Object.keys(description['node-red'].nodes))
    assert.ok(
      example.some((node) => node.type === type),
      type,
    );
  for (const name of ['LICENSE', 'README.md', 'icons/heap-dump.svg'])
    assert.ok(existsSync(join(directory, name)), name);
  console.log(`${green('✓')} the scorecard's rules`);
}

// What the node does in flows.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import limits from '../../harness/limits.cjs';
import { validateSnapshot } from '../../harness/validate.mjs';
import { ageKey } from '../support/age.mjs';
import { BIN } from '../support/command.mjs';
import { childrenOf, waitFor } from '../support/processes.mjs';

/** The flow of node-red-contrib-heap-dump's README, as it stands there. */
export const SEED = [
  {
    id: '194b13aa.03f90c',
    type: 'heap-dump',
    z: '15244fe6.9ae87',
    directory: '/tmp/bart',
    createDir: true,
    name: '',
    x: 1120.1668167114258,
    y: 325.33335304260254,
    wires: [[]],
  },
  {
    id: '535cf64a.826208',
    type: 'inject',
    z: '15244fe6.9ae87',
    name: '',
    topic: '',
    payload: '',
    payloadType: 'date',
    repeat: '',
    crontab: '',
    once: false,
    x: 945.166748046875,
    y: 325.66668701171875,
    wires: [['194b13aa.03f90c']],
  },
];
const TAB = { id: '15244fe6.9ae87', type: 'tab', label: 'Flow 1' };

export async function testFlows(server, step) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'heapdump-node-red-'));
  const hadSeedDirectory = fs.existsSync('/tmp/bart');
  try {
    await step("the seed's flow, unchanged", async () => {
      await server.deploy([TAB, ...SEED]);
      await server.inject('535cf64a.826208');
      const statuses = await server.statuses('194b13aa.03f90c', /heapsnapshot$/);
      const file = statuses.at(-1).text;
      assert.match(file, /^\/tmp\/bart\/\d{13}\.heapsnapshot$/);
      assert.deepEqual(statuses, [dot('blue', 'Analyzing'), dot('blue', 'Creating dump'), dot('blue', file)]);
      await validateSnapshot(file);
      assert.equal(fs.statSync(file).mode & 0o777, 0o600);
      fs.rmSync(file);
    });
    await step('the message goes on with the path; a Complete node hears of it', async () => {
      await server.deploy(flow({ directory, createDir: false }, { directory: '/elsewhere' }));
      await server.inject('inject');
      const { msg } = await server.debug('sent');
      assert.ok(msg.startsWith(`${directory}/`), msg);
      await server.debug('completed');
      await validateSnapshot(msg);
    });
    await step('the directory of the message, and a burst', async () => {
      const here = path.join(directory, 'a/b');
      await server.deploy(flow({ directory: '', createDir: true }, { directory: here }));
      await Promise.all([1, 2, 3].map(() => server.inject('inject')));
      await waitFor('three files', () => whole(here).length === 3);
      for (const name of whole(here)) await validateSnapshot(path.join(here, name));
    });
    await step('a report beside it: in the message, in the status, and a page for the dialog', () => testReport(server, directory));
    await step('redacted, and encrypted, as the message says', () => testHidden(server, directory));
    const file = path.join(directory, 'file');
    fs.writeFileSync(file, '');
    for (const [status, config, message, error] of [
      ['No directory', { directory: '', createDir: true }, {}, /should be specified in msg\.directory/],
      ['Invalid directory', { directory: path.join(directory, 'missing'), createDir: false }, {}, /doesn't exist/],
      [
        'Directory failed',
        { directory: path.join(file, 'below'), createDir: true },
        {},
        /Error creating directory: ENOTDIR/,
      ],
      ['Dump failed', { directory, createDir: false }, { encryptTo: 'age1nobody' }, /encryptTo/],
      ['Dump failed', { directory: '/proc', createDir: false }, {}, /Error creating heap dump: heapdump write error E/],
    ]) {
      await step(`${status} reaches the status and a Catch node`, async () => {
        await server.deploy(flow(config, message));
        await server.inject('inject');
        const statuses = await server.statuses('dump', new RegExp(`^${status}$`));
        assert.deepEqual(statuses.at(-1), dot('red', status));
        assert.match(JSON.stringify((await server.debug('caught')).msg), error);
      });
    }
    await step('a deploy ends a dump that is under way, and nothing is left', async () => {
      const here = path.join(directory, 'ended');
      await server.deploy(flow({ directory: here, createDir: true }, {}));
      await server.inject('inject');
      const child = await waitFor('the child', () => childrenOf(server.pid).find(({ name }) => name === 'heapdump'));
      await server.deploy([TAB]);
      await waitFor('the child is gone', () => !childrenOf(server.pid).some(({ pid }) => pid === child.pid));
      await waitFor('no file', () => fs.readdirSync(here).length === 0);
    });
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
    if (!hadSeedDirectory) fs.rmSync('/tmp/bart', { recursive: true, force: true });
  }
}

async function testReport(server, directory) {
  const page = '/heap-dump/dump/report';
  const config = { directory, createDir: false, report: true };
  await server.deploy(flow(config, {}, { sent: 'report' }));
  assert.equal((await fetch(server.url + page)).status, 404, 'none was made yet');
  await server.inject('inject');
  const { msg: report } = await server.debug('sent');
  assert.match(report, /\/\d{13}\.report\.html$/);
  const statuses = await server.statuses('dump', /heapsnapshot$/);
  assert.deepEqual(statuses.slice(0, -1).map(({ text }) => text), ['Analyzing', 'Creating dump', 'Creating report']);
  const { status, headers } = await fetch(server.url + page, { method: 'HEAD' });
  assert.deepEqual([status, headers.get('cache-control'), headers.get('content-security-policy')], [200, 'no-store', 'sandbox allow-scripts']);
  assert.equal(await server.text(page, 'text/html'), fs.readFileSync(report, 'utf8'));
  fs.rmSync(report);
  assert.equal((await fetch(server.url + page)).status, 404, 'it is gone');
}

async function testHidden(server, directory) {
  const { recipient, identity } = ageKey();
  const key = path.join(directory, 'key');
  fs.writeFileSync(key, identity);
  const dump = async (message, pattern) => {
    await server.deploy(flow({ directory, createDir: false, report: true }, message));
    await server.inject('inject');
    const { msg } = await server.debug('sent');
    assert.match(msg, pattern);
    return execFileSync(process.execPath, [BIN, 'validate', msg, '--identity', key], { encoding: 'utf8', timeout: limits.WAIT });
  };
  assert.match(await dump({ redact: true }, /\/\d{13}\.heapsnapshot$/), /a whole snapshot[^]*redacted/);
  assert.match(await dump({ encryptTo: recipient }, /\/\d{13}\.heapsnapshot\.age$/), /a whole snapshot/);
}

const dot = (fill, text) => ({ fill, shape: 'dot', text });
const whole = (directory) =>
  fs.existsSync(directory) ? fs.readdirSync(directory).filter((name) => /^\d{13}\.heapsnapshot$/.test(name)) : [];

/** Inject, the node, and debug nodes behind it (which shows `sent`), behind a Complete and behind a Catch node. */
function flow(config, message, { sent = 'payload' } = {}) {
  const props = Object.entries(message).map(([p, v]) => ({ p, v: String(v), vt: typeof v === 'boolean' ? 'bool' : 'str' }));
  const debug = (id, complete) => ({
    id,
    type: 'debug',
    active: true,
    tosidebar: true,
    complete,
    targetType: 'msg',
    wires: [],
  });
  const nodes = [
    { id: 'inject', type: 'inject', props, repeat: '', crontab: '', once: false, wires: [['dump']] },
    { id: 'dump', type: 'heap-dump', name: '', ...config, wires: [['sent']] },
    debug('sent', sent),
    { id: 'complete', type: 'complete', scope: ['dump'], wires: [['completed']] },
    debug('completed', 'payload'),
    { id: 'catch', type: 'catch', scope: null, wires: [['caught']] },
    debug('caught', 'error'),
  ];
  // What has no place is a configuration node to Node-RED.
  return [TAB, ...nodes.map((node, i) => ({ ...node, z: TAB.id, x: 200, y: 40 + 40 * i }))];
}

// docs/docker.md and docs/kubernetes.md in a container made by the kernel's own means: namespaces, a read-only root, one
// volume, a user without capabilities, the application as PID 1. What runs in it is taken from the documents.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { validateSnapshot } from '../harness/validate.mjs';
import { ROOT, startApp, startProgram } from './support/app.mjs';
import { needsRoot, needsTool } from './support/faults.mjs';
import { makeTemporaryDirectory, modeOf } from './support/files.mjs';
import { childrenOf, waitFor } from './support/processes.mjs';
import { nextRequest } from './support/signals.mjs';

const UNPRIVILEGED = [
  'setpriv', '--reuid', '1000', '--regid', '1000', '--clear-groups', '--no-new-privs', '--bounding-set', '-all', '--inh-caps', '-all',
];

/** $1 the new root, $2 Node's directory, $3 the package, then the command. */
const MAKE = `
set -e
root=$1 node=$2 package=$3
shift 3
mount --make-rprivate /
mount --bind "$root" "$root"
read_only() { mount --bind "$1" "$root/$2"; mount -o remount,bind,ro "$root/$2"; }
for name in usr bin sbin lib lib64 etc; do
  if [ -L "/$name" ]; then ln -s "$(readlink "/$name")" "$root/$name"
  elif [ -d "/$name" ]; then mkdir "$root/$name"; read_only "/$name" "$name"; fi
done
read_only "$node" node
read_only "$package" app/node_modules/heapdump-rs
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind "$root/dumps" "$root/dumps"
mount -o remount,bind,ro "$root"
cd "$root"
pivot_root . .
umount -l .
cd /app
exec "$@"
`;

const documents = Object.fromEntries(['docker', 'kubernetes'].map((name) => [name, fs.readFileSync(path.join(ROOT, `docs/${name}.md`), 'utf8')]));
const take = (document, pattern) => pattern.exec(documents[document])[1];

/** Its environment, as the documents have it. */
function environment(t) {
  const variables = {
    docker: { NODE_HEAPDUMP_OPTIONS: take('docker', /^ENV NODE_HEAPDUMP_OPTIONS=(\S+)$/m), NODE_OPTIONS: take('docker', /--env NODE_OPTIONS=(\S+)/) },
    kubernetes: Object.fromEntries(
      [...documents.kubernetes.matchAll(/^ +- \{ name: (NODE_\w+), value: "([^"]+)" \}$/gm)].map(([, name, value]) => [name, value]),
    ),
  };
  assert.deepEqual(variables.docker, variables.kubernetes);
  return Object.entries({ PATH: '/node:/usr/bin:/bin', ...variables[t] }).map(([name, value]) => `${name}=${value}`);
}

async function startContainer(t, which, command) {
  const directory = makeTemporaryDirectory(t);
  fs.chmodSync(directory.path, 0o755);
  for (const name of ['node', 'dev', 'proc', 'tmp', 'dumps', 'app/node_modules/heapdump-rs', 'app/node_modules/.bin']) {
    fs.mkdirSync(directory.at(name), { recursive: true });
  }
  fs.chownSync(directory.at('dumps'), 1000, 1000);
  fs.symlinkSync('../heapdump-rs/bin/heapdump-rs.js', directory.at('app/node_modules/.bin/heapdump-rs'));
  const source = take('docker', /```js\n(\/\/ app\.js\n[^]*?)```/);
  const heap = "globalThis.kept = Array.from({ length: 100000 }, (_, i) => ({ i, text: 'text ' + i }));\n";
  fs.writeFileSync(directory.at('app/app.js'), source + heap);

  const namespaces = ['unshare', '--mount', '--pid', '--net', '--fork', '--kill-child'];
  const inside = [...UNPRIVILEGED, 'env', '-i', ...environment(which)];
  const make = ['sh', '-c', MAKE, 'sh', directory.path, path.dirname(process.execPath), ROOT];
  const container = startProgram(t, [...namespaces, ...make, ...inside, ...command]);
  await container.says(/listening/);
  const [{ pid }] = childrenOf(container.pid);
  const enter = ['nsenter', '--target', `${pid}`, '--mount', '--pid', '--net', '--', ...inside];
  return {
    pid,
    container,
    directory,
    /** As `docker exec` and `kubectl exec`. */
    execute(line) {
      const { status, stdout, stderr } = spawnSync(enter[0], [...enter.slice(1), 'sh', '-c', `cd /app && ${line}`], { encoding: 'utf8' });
      return { code: status, stdout, stderr };
    },
    /** What starts a command in it. */
    enter,
  };
}

const canMakeContainers = (t) => needsRoot(t) && ['unshare', 'nsenter', 'setpriv'].every((tool) => needsTool(t, tool));

const dumps = (directory) => waitFor('a dump', () => {
  const names = directory.names('dumps').filter((name) => name.startsWith('heapdump-'));
  return names.length > 0 && names;
});

test("docs/docker.md: its command line, docker exec's, the signal, a stop while a dump is written", async (t) => {
  if (!canMakeContainers(t)) return;
  const command = JSON.parse(take('docker', /^CMD (\[.*\])$/m));
  const { pid, container, directory, execute } = await startContainer(t, 'docker', command);
  assert.match(fs.readFileSync(`/proc/${pid}/status`, 'utf8'), /^NSpid:\s+\d+\t1$[^]*^CapEff:\t0+$[^]*^NoNewPrivs:\t1$/m);
  for (const place of ['/app/x', '/x', '/app/node_modules/heapdump-rs/x']) {
    assert.match(execute(`touch ${place}`).stderr, /Read-only file system/);
  }

  // docker kill --signal USR2 my-app
  process.kill(pid, 'SIGUSR2');
  const [name] = await dumps(directory);
  assert.match(name, /^heapdump-\d+\.\d+\.heapsnapshot\.gz$/);
  assert.equal(modeOf(directory.at('dumps', name)), 0o600);
  await validateSnapshot(directory.at('dumps', name));
  fs.rmSync(directory.at('dumps', name));

  const lines = [...documents.docker.matchAll(/^docker exec my-app (.*?)(?: +#.*)?$/gm)].map(([, line]) => line);
  assert.ok(lines.some((line) => / node-snapshot --pid 1 /.test(line)) && lines.some((line) => / doctor --pid 1$/.test(line)));
  for (const line of lines) {
    const { code, stdout, stderr } = execute(line);
    assert.equal(code, 0, `${line}\n${stderr}`);
    if (/doctor/.test(line)) assert.match(stdout, /PID 1: its exit waits for a dump/);
  }
  await validateSnapshot(directory.at('dumps/now.heapsnapshot.gz'));

  await nextRequest();
  process.kill(pid, 'SIGUSR2');
  await waitFor('a dump that is written', () => childrenOf(pid).some(({ name: each }) => each === 'heapdump'));
  // docker stop
  process.kill(pid, 'SIGTERM');
  assert.equal((await container.ended()).code, 0);
  const [last, ...more] = await dumps(directory);
  assert.deepEqual([more, directory.names('dumps').filter((each) => each.startsWith('.'))], [[], []]);
  await validateSnapshot(directory.at('dumps', last));
});

test('docs/kubernetes.md: its command, preStop twice, what kubectl exec runs', async (t) => {
  if (!canMakeContainers(t)) return;
  const command = JSON.parse(take('kubernetes', /^ +command: (\[.*\])$/m));
  const { directory, execute } = await startContainer(t, 'kubernetes', command);
  const preStop = [...take('kubernetes', /preStop:\n +exec:\n +command:\n((?: +- \S+\n)+)/).matchAll(/- (\S+)/g)].map(([, word]) => word);
  for (let count = 1; count <= 2; count++) {
    const { code, stderr } = execute(preStop.join(' '));
    assert.equal(code, 0, stderr);
    await validateSnapshot(directory.at('dumps/last.heapsnapshot.gz'));
  }
  const lines = [...documents.kubernetes.matchAll(/`kubectl exec \$POD -- ([^`\n]*)`/g)].map(([, line]) => line);
  assert.deepEqual(lines.map((line) => line.split(' ').find((word) => /^(doctor|kill)$/.test(word))), ['kill', 'doctor']);
  for (const line of lines) {
    const { code, stderr } = execute(line);
    assert.equal(code, 0, `${line}\n${stderr}`);
  }
  for (const name of await dumps(directory)) await validateSnapshot(directory.at('dumps', name));
});

test('docs/kubernetes.md: a dump gets here whole by a kubectl exec that loses the end', async (t) => {
  if (!canMakeContainers(t)) return;
  const command = JSON.parse(take('kubernetes', /^ +command: (\[.*\])$/m));
  const { directory, enter } = await startContainer(t, 'kubernetes', command);
  const here = makeTemporaryDirectory(t);
  const script = take('kubernetes', /## A dump\n\n```sh\n([^]*?)```/);
  // `kubectl get`, and `kubectl exec POD -- COMMAND`, of whose output it passes on the first megabyte.
  const quoted = enter.map((word) => `'${word}'`).join(' ');
  const kubectl = `#!/bin/sh
[ "$1" = get ] && echo pod/my-app && exit
shift 3
${quoted} sh -c 'cd /app && exec "$@"' sh "$@" | head -c 1000000
`;
  fs.mkdirSync(here.at('bin'));
  fs.writeFileSync(here.at('bin/kubectl'), kubectl, { mode: 0o755 });
  const env = { ...process.env, PATH: `${here.at('bin')}:${process.env.PATH}` };
  const { status, stdout, stderr } = spawnSync('sh', ['-c', script], { cwd: here.path, env, encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
  const turns = stdout.match(/FAILED$/gm)?.length ?? 0;
  assert.ok(turns > 0 && turns === Math.ceil(fs.statSync(here.at('now.heapsnapshot.gz')).size / 1_000_000) - 1, stdout);
  await validateSnapshot(here.at('now.heapsnapshot.gz'));
  assert.deepEqual(directory.names('dumps'), []);
});

test("docs/kubernetes.md: the checksum in a monitor's JSON", async (t) => {
  const directory = makeTemporaryDirectory(t);
  const app = startApp(t, async ({ args, once, stayAlive }) => {
    const alive = stayAlive();
    await once(require('../../lib/monitor.js').monitor({ dir: args.dir, rss: 1, compress: 'gzip' }), 'snapshot');
    clearTimeout(alive);
    process.exit();
  }, { args: { dir: directory.path } });
  await app.ended();
  const [snapshot, sidecar] = directory.names();
  const line = take('kubernetes', /^(node -p [^]*?sha256sum -c)$/m).replace('heap-rss-1795262584567.json', sidecar);
  const check = () => spawnSync('sh', ['-c', line], { cwd: directory.path, encoding: 'utf8' });
  assert.equal(check().stdout, `${snapshot}: OK\n`);
  fs.truncateSync(directory.at(snapshot), fs.statSync(directory.at(snapshot)).size - 1);
  assert.notEqual(check().status, 0);
});

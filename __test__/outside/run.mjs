// npm run test:outside [-- MAJOR… --parts captures,computing,kills,signals,isolates,spins --times 25 --quick]: processes captured from outside, many
// times, on every Node.js version. All snapshots are whole, no request fails, no result is another, and a tracer that is killed at any
// step leaves the process as it was.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';

import { build } from '../../harness/build.mjs';
import LIMITS from '../../harness/limits.cjs';
import { NODES, fetchNode } from '../../harness/nodes.mjs';
import { bold, dim, green, main, must, red, root } from '../../harness/run.mjs';
import { runCommand } from '../support/command.mjs';
import { makeTemporaryDirectory } from '../support/files.mjs';
import { waitFor } from '../support/processes.mjs';
import { tracer } from '../support/restored.mjs';
import { checkSnapshot, checkSubject, copiesOf, startSubject, traces } from './subject.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, times: { type: 'string' }, parts: { type: 'string' } },
});
const times = Number(values.times ?? (values.quick ? 2 : 25));

/** What a process does while it is captured, and how it is started. */
const WAYS = {
  http: { megabytes: 20 },
  busy: {},
  native: {},
  collect: { flags: ['--expose-gc'] },
  files: { env: { UV_USE_IO_URING: '1' }, rare: true },
};

/** A busy machine may take long for a stop. */
const PATIENT = ['--max-stop', `${LIMITS.WAIT / 1000}s`];

/** As much of a TestContext as the helpers need. */
class Scope {
  #undo = [];
  after(undo) {
    this.#undo.push(undo);
  }
  diagnostic(text) {
    console.log(dim(`  ${text}`));
  }
  async end() {
    for (const undo of this.#undo.reverse()) await undo();
  }
}

async function inScope(body) {
  const scope = new Scope();
  try {
    return await body(scope);
  } finally {
    await scope.end();
  }
}

/** Whole snapshots of a process at work. */
async function captures(node) {
  for (const [way, { rare, ...options }] of Object.entries(WAYS)) {
    const count = rare ? Math.ceil(times / 5) : times;
    await inScope(async (t) => {
      const app = await startSubject(t, way, { node, ...options });
      const directory = makeTemporaryDirectory(t);
      const stops = [];
      let whole = 0;
      for (let i = 0; i < count; i++) {
        const args = ['node-snapshot', '--pid', app.pid, '--via', 'outside', ...PATIENT, '--json', '--force', '--output', directory.at('a.heapsnapshot')];
        const { code, stdout, stderr } = await runCommand(t, args);
        if (code !== 0) fault(`${way}: ${stderr.trim()}`);
        else {
          stops.push(JSON.parse(stdout).stoppedMs);
          await checkSnapshot(directory.at('a.heapsnapshot')).then(() => whole++, (error) => fault(`${way}: ${error.message}`));
        }
        await checkSubject(app);
      }
      assert.deepEqual(copiesOf(app.pid), []);
      const { done } = await checkSubject(app);
      stops.sort((a, b) => a - b);
      told(whole === count, `${way}: ${whole}/${count} whole, stopped for ${stops[stops.length >> 1]} ms (median), ${stops.at(-1)} ms (most); it did ${done}`);
    });
  }
}

/** Results of a process that computes, and calls that last, in captures one after the other. */
async function computing(node) {
  for (const way of ['compute', 'blocked']) {
    await inScope(async (t) => {
      const app = await startSubject(t, way, { node });
      for (let i = 0; i < times * 2; i++) {
        const { status, said } = await trace(app.pid);
        if (status !== 0) fault(`${way}: ${said}`);
      }
      const { done } = await checkSubject(app);
      told(done > 0, `${way}: ${times * 2} captures, ${done} results, none wrong`);
    });
  }
}

/** The tracer ends itself at each place of each call. */
async function kills(node) {
  const dying = await buildDying();
  await inScope(async (t) => {
    const app = await startSubject(t, 'compute', { node });
    const { said } = await trace(app.pid);
    const before = traces(app.pid);
    const calls = Number(/^is calls: (\d+)$/m.exec(said)[1]);
    let survived = 0;
    let tried = 0;
    let left = 0;
    // The one call of the second stop is the 1001st.
    for (const call of [...Array.from({ length: calls }, (_, i) => i + 1), 1001]) {
      for (let place = 0; place <= 9; place++) {
        if (values.quick && (call + place) % 4 !== 0) continue;
        const { signal } = await trace(app.pid, dying, { HEAPDUMP_OUTSIDE_DIES: `${call}.${place}` });
        // Some places are met by some calls alone.
        if (signal !== 'SIGKILL') continue;
        tried++;
        await waitFor('no copy runs', () => copiesOf(app.pid).every((state) => state === 'Z'));
        await checkSubject(app);
        const now = traces(app.pid);
        assert.deepEqual([now.tracer, now.blocked], [before.tracer, before.blocked], `${call}.${place}`);
        survived++;
        left = Math.max(left, copiesOf(app.pid).length);
      }
    }
    await trace(app.pid);
    assert.deepEqual(copiesOf(app.pid), []);
    told(tried > 0 && survived === tried, `killed at ${tried} places of ${calls} calls, ${survived} survived; ${left} dead copies at most, taken away by the next`);
  });
}

/** Each is seen before the next is sent: those of one kind that wait are one. */
async function signals(node) {
  const wanted = values.quick ? 50 : 1000;
  await inScope(async (t) => {
    const app = await startSubject(t, 'signals', { node });
    let sent = 0;
    let captured = 0;
    while (sent < wanted) {
      const running = trace(app.pid);
      let over = false;
      void running.finally(() => (over = true));
      while (!over) {
        app.kill('SIGUSR2');
        sent++;
        await waitFor(`signal ${sent} is seen`, async () => (await checkSubject(app)).done === sent);
      }
      const { status, said } = await running;
      if (status !== 0) fault(said);
      captured++;
    }
    told(true, `${sent} signals in ${captured} captures, all seen`);
  });
}

/** Each isolate of a process, whatever its thread does. */
async function isolates(node) {
  await inScope(async (t) => {
    const app = await startSubject(t, 'isolates', { node });
    const directory = makeTemporaryDirectory(t);
    const count = Math.ceil(times / 5);
    let whole = 0;
    for (let i = 0; i < count; i++) {
      const args = ['node-snapshot', '--pid', app.pid, '--all-threads', ...PATIENT, '--force', '--output', directory.at('{thread}.heapsnapshot')];
      const { code, stderr } = await runCommand(t, args);
      if (code !== 0) fault(`isolates: ${stderr.trim()}`);
      const threads = [...app.stdout.matchAll(/^thread (\d+) (\w+)$/gm)].map(([, thread, name]) => [thread, `Planted${name}`]);
      for (const [thread, planted] of [[app.pid, 'PlantedOutside'], ...threads]) {
        await checkSnapshot(directory.at(`${thread}.heapsnapshot`), planted).then(() => whole++, (error) => fault(`${planted}: ${error.message}`));
      }
      await checkSubject(app);
    }
    told(whole === 4 * count, `isolates: ${whole}/${4 * count} whole`);
  });
}

/** Where no snapshot can be taken: native code that does not come back. */
async function spins(node) {
  await inScope(async (t) => {
    const app = await startSubject(t, 'spin', { node });
    const directory = makeTemporaryDirectory(t);
    const { code, stderr } = await runCommand(t, ['node-snapshot', '--pid', app.pid, '--output', directory.at('a.heapsnapshot')]);
    told(code === 2 && /did not come to a place where V8 takes a snapshot/.test(stderr) && !app.hasEnded, `spins: ${stderr.trim().split('\n').at(-1)}`);
    app.kill('SIGKILL');
  });
}

/** A run of the tracer alone; the image goes nowhere. */
async function trace(pid, program = tracer(), env = {}) {
  const child = spawn(program, [`${pid}`, '--limit', `${LIMITS.WAIT}`], { stdio: ['ignore', 'ignore', 'pipe'], env });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (said += text));
  const [status, signal] = await once(child, 'close');
  return { status, signal, said };
}

async function buildDying() {
  await must('cargo', ['build', '--release', '-p', 'heapimage-outside', '--features', 'dying', '--target-dir', 'target/dying']);
  return `${root}/target/dying/release/heapimage-outside`;
}

let faults = 0;
function fault(text) {
  faults++;
  console.log(red(`  ${text.split('\n').slice(0, 4).join('\n  ')}`));
}

function told(good, text) {
  if (!good) faults++;
  console.log(`${good ? green('✓') : red('✗')} ${text}`);
}

const PARTS = { captures, computing, kills, signals, isolates, spins };

await main(async () => {
  await build();
  const parts = values.parts?.split(',') ?? Object.keys(PARTS);
  const versions = Object.keys(NODES).filter((version) => positionals.length === 0 || positionals.includes(version.split('.')[0]));
  for (const version of versions) {
    const node = await fetchNode(version);
    console.log(`\n${bold(`Node.js ${version}`)}`);
    for (const part of parts) {
      try {
        await PARTS[part](node);
      } catch (error) {
        fault(`${part}: ${error.stack}`);
      }
    }
  }
  console.log(faults === 0 ? green('\nall whole') : red(`\n${faults} failed`));
  if (faults > 0) process.exitCode = 1;
});

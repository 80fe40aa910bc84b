// npm run stress [-- --node PATH --forks 50 --large 5 --megabytes 200]: snapshots of a process under allocation churn,
// compilation, worker threads and zlib. Every file is validated in full. None may hang, be invalid or fall back.

import { fork, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { build } from '../harness/build.mjs';
import { Problem, bold, dim, green, main, red, root, seconds } from '../harness/run.mjs';
import { validateSnapshot } from '../harness/validate.mjs';

const { values } = parseArgs({
  options: {
    node: { type: 'string', default: process.execPath },
    forks: { type: 'string', default: '50' },
    large: { type: 'string', default: '5' },
    megabytes: { type: 'string', default: '200' },
  },
});
const work = join(root, '.cache/stress');

/** A process under load, asked for one snapshot after the other. */
class Subject {
  #child;
  #listener;

  constructor(megabytes, duty) {
    const execArgv = ['--expose-gc', `--max-old-space-size=${1024 + megabytes * 3}`];
    this.#child = fork(join(root, 'bench/stress-subject.mjs'), [String(megabytes), String(duty)], {
      execPath: values.node,
      execArgv,
    });
    this.#child.on('message', (message) => this.#listener?.resolve(message));
    this.#child.on('exit', (code, signal) => {
      this.#listener?.reject(new Problem(`the application died of a snapshot (${signal ?? `status ${code}`})`));
    });
  }

  message() {
    return new Promise((resolve, reject) => (this.#listener = { resolve, reject }));
  }

  async snapshot(file) {
    this.#child.send(file);
    return this.message();
  }

  stop() {
    this.#listener = undefined;
    this.#child.kill();
  }
}

/** Takes `count` snapshots and counts what became of them. */
async function series(title, megabytes, duty, count) {
  if (count === 0) return true;
  const counts = { complete: 0, hung: 0, crashed: 0, failed: 0, invalid: 0, fallback: 0, retried: 0 };
  const subject = new Subject(megabytes, duty);
  const start = performance.now();
  const barrier = [];
  try {
    await subject.message();
    for (let n = 0; n < count; n++) {
      const file = join(work, `${process.pid}-${megabytes}-${n}.heapsnapshot`);
      const { report, error } = await subject.snapshot(file);
      if (error) {
        console.log(`  ${red('✗')} ${n + 1}: ${error.code}: ${error.message}`);
        counts[failureOf(error.code)]++;
        continue;
      }
      barrier.push(report.barrierWait);
      if (report.mode !== 'fork') {
        counts.fallback++;
        console.log(`  ${red('✗')} ${n + 1}: in process: ${report.fallbackReason}`);
      }
      if (report.attempts > 1) {
        counts.retried++;
        console.log(`  ${red('✗')} ${n + 1}: ${JSON.stringify(report)}`);
      }
      counts[(await isValid(file, report)) ? 'complete' : 'invalid']++;
      rmSync(file, { force: true });
      if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${dim(`  ${title}: ${n + 1} of ${count}`)}`);
    }
  } finally {
    subject.stop();
  }
  if (process.stdout.isTTY) process.stdout.write('\r\x1b[K');
  const clean = counts.complete === count && counts.fallback === 0 && counts.retried === 0;
  const text = Object.entries(counts).map(([name, n]) => `${name} ${n}`);
  barrier.sort((a, b) => a - b);
  const waits = `barrier median ${barrier[barrier.length >> 1]?.toFixed(1)} ms, at most ${barrier.at(-1)?.toFixed(1)} ms`;
  console.log(`${clean ? green('✓') : red('✗')} ${title}: ${text.join(', ')} ${dim(`(${waits}, ${seconds(performance.now() - start)})`)}`);
  return clean;
}

function failureOf(code) {
  if (code === 'ERR_HEAPDUMP_CHILD_HUNG' || code === 'ERR_HEAPDUMP_TIMEOUT') return 'hung';
  return code === 'ERR_HEAPDUMP_CHILD_CRASHED' ? 'crashed' : 'failed';
}

/** Reads the whole file; it must also be the one that the report tells of. */
async function isValid(file, report) {
  try {
    const { nodes, edges } = await validateSnapshot(file);
    if (nodes === report.nodes && edges === report.edges) return true;
    console.log(`  ${red('✗')} ${nodes} nodes and ${edges} edges, reported ${report.nodes} and ${report.edges}`);
  } catch (error) {
    console.log(`  ${red('✗')} ${error.message}`);
  }
  return false;
}

await main(async () => {
  await build();
  mkdirSync(work, { recursive: true });
  const version = spawnSync(values.node, ['--version'], { encoding: 'utf8' }).stdout?.trim();
  if (!version) throw new Problem(`${values.node} does not run`);
  console.log(bold(`Node.js ${version}`));
  const small = await series('small heaps', 0, 0.4, Number(values.forks));
  // The load is lighter here only so that the child, which yields to it, is done in reasonable time.
  const large = await series(`${values.megabytes} MB`, Number(values.megabytes), 0.15, Number(values.large));
  if (!small || !large) process.exitCode = 1;
});

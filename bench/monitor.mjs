// npm run bench:monitor: what a monitor costs while nothing is over its limit. CPU time as the kernel's scheduler counts it,
// of the monitor's own thread; the application allocates and collects garbage all the time.
//
//   npm run bench:monitor [-- --seconds 20]

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import { fileURLToPath } from 'node:url';

const SELF = fileURLToPath(import.meta.url);
const at = process.argv.indexOf('--seconds');
const seconds = at < 0 ? 20 : Number(process.argv[at + 1]);

if (process.argv[2] === 'subject') await subject(JSON.parse(process.argv[3]));
else compare();

function compare() {
  console.log(`Node.js ${process.version}, ${seconds} s each; the application allocates all the time`);
  for (const interval of [1000, 100]) {
    const { status, stdout, stderr } = spawnSync(
      process.execPath, ['--max-old-space-size=128', SELF, 'subject', JSON.stringify({ interval, seconds })], { encoding: 'utf8' },
    );
    if (status !== 0) throw new Error(stderr);
    const { cpu, elapsed, collections, process: whole } = JSON.parse(stdout);
    const share = (cpu / elapsed) * 100;
    console.log(
      `interval ${interval} ms: ${(cpu / 1000).toFixed(2)} ms of CPU in ${(elapsed / 1e6).toFixed(1)} s (${share.toFixed(4)} % of a core), ` +
        `${collections} full collections judged; the process took ${(whole / 1e6).toFixed(1)} s of CPU`,
    );
  }
}

/** Microseconds of CPU of the monitor's thread. */
async function subject({ interval, seconds }) {
  const require = createRequire(import.meta.url);
  const { monitor } = require('../lib/monitor.js');
  const { PerformanceObserver, constants } = require('node:perf_hooks');
  const dir = fs.mkdtempSync(`${os.tmpdir()}/heapdump-bench-`);
  monitor({ dir, threshold: '95%', growth: '1000%', external: '4GB', rss: '64GB', cgroup: '99.9%', interval })
    .on('error', () => {});
  let collections = 0;
  new PerformanceObserver((list) => {
    for (const { detail } of list.getEntries()) if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) collections += 1;
  }).observe({ entryTypes: ['gc'] });
  // It has its name once it runs.
  while (threadTime() === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
  const start = { cpu: threadTime(), time: performance.now(), usage: process.cpuUsage() };
  const ring = [];
  for (let i = 0; performance.now() - start.time < seconds * 1000; i++) {
    for (let j = 0; j < 2000; j++) ring[(i * 2000 + j) % 100_000] = { i, text: `text ${i} ${j}` };
    await new Promise(setImmediate);
  }
  const { user, system } = process.cpuUsage(start.usage);
  const result = { cpu: threadTime() - start.cpu, elapsed: (performance.now() - start.time) * 1000, collections, process: user + system };
  fs.rmSync(dir, { recursive: true });
  console.log(JSON.stringify(result));
}

function threadTime() {
  const tasks = fs.readdirSync('/proc/self/task').filter((id) => fs.readFileSync(`/proc/self/task/${id}/comm`, 'utf8') === 'heapdump-watch\n');
  const times = tasks.map((id) => Number(fs.readFileSync(`/proc/self/task/${id}/schedstat`, 'utf8').split(' ')[0]));
  return times.length === 1 ? times[0] / 1000 : undefined;
}

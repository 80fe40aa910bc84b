// Feeds what reads strangers' files, the analyzer, the restorer of images and the redactor, such that libFuzzer makes up: node
// tools/fuzz.mjs [seconds [analyze | image | redact]]. What it finds is left in .cache/fuzz/ and belongs into crates/heapsnapshot/tests/
// bad_input.rs or crates/heapimage-restore/tests. cargo-fuzz would do the same, and take minutes to install.

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Problem, main, root } from '../harness/run.mjs';

// The compiler's part of libFuzzer: counters at every edge and comparison. No address sanitizer: what is fuzzed has
// no unsafe code.
const COVERAGE = [
  '--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cdebug-assertions -Ccodegen-units=16',
  '-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table',
  '-Cllvm-args=-sanitizer-coverage-trace-compares',
].join(' ');

/** Programs of fuzz/, which share the time. No file of theirs needs to be longer. */
const TARGETS = {
  analyze: { longest: 8192, seeds: 'seeds', dictionary: 'analyze.dict' },
  image: { longest: 2048 },
  redact: { longest: 8192, seeds: 'seeds', dictionary: 'analyze.dict' },
};

await main(async () => {
  const seconds = Number(process.argv[2] ?? 60);
  const only = process.argv[3];
  if (only !== undefined && !Object.hasOwn(TARGETS, only)) throw new Problem(`there is ${Object.keys(TARGETS).join(', ')}, not ${only}`);
  const cwd = join(root, 'fuzz');
  const cache = join(root, '.cache/fuzz');
  const host = /host: (\S+)/.exec(execFileSync('rustc', ['-vV'], { encoding: 'utf8' }))[1];
  const built = join(cache, 'target');
  // These flags are for the nightly compiler; the variable lets any have them.
  const env = { ...process.env, RUSTC_BOOTSTRAP: '1', RUSTFLAGS: COVERAGE, CARGO_TARGET_DIR: built };
  execFileSync('cargo', ['build', '--release', '--quiet', '--target', host], { cwd, env, stdio: 'inherit' });
  for (const name of only === undefined ? Object.keys(TARGETS) : [only]) {
    const share = only === undefined ? Math.ceil(seconds / Object.keys(TARGETS).length) : seconds;
    const fuzzer = join(built, host, 'release', name);
    if (!fuzz(fuzzer, join(cache, name), TARGETS[name], share)) process.exitCode = 1;
  }
});

/** Whether nothing was found. */
function fuzz(fuzzer, cache, { longest, seeds, dictionary }, seconds) {
  const corpus = join(cache, 'corpus');
  mkdirSync(corpus, { recursive: true });
  const limits = [`-max_total_time=${seconds}`, '-timeout=20', '-rss_limit_mb=1024', `-max_len=${longest}`, '-verbosity=0'];
  const places = [`-artifact_prefix=${cache}/`, corpus];
  if (dictionary) places.unshift(`-dict=${join(root, 'fuzz', dictionary)}`);
  if (seeds) {
    cpSync(join(root, 'fuzz', seeds), join(cache, 'seeds'), { recursive: true });
    places.push(join(cache, 'seeds'));
  }
  return spawnSync(fuzzer, [...limits, '-print_final_stats=1', ...places], { stdio: 'inherit' }).status === 0;
}

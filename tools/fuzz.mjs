// Feeds the analyzer files that libFuzzer makes up: node tools/fuzz.mjs [seconds]. What it finds is left in .cache/fuzz/
// and belongs into crates/heapsnapshot/tests/bad_input.rs. cargo-fuzz would do the same, and take minutes to install.

import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { root, main } from '../harness/run.mjs';

// The compiler's part of libFuzzer: counters at every edge and comparison. No address sanitizer: the crate has no
// unsafe code.
const COVERAGE = [
  '--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cdebug-assertions -Ccodegen-units=16',
  '-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table',
  '-Cllvm-args=-sanitizer-coverage-trace-compares',
].join(' ');

await main(async () => {
  const seconds = Number(process.argv[2] ?? 60);
  const cwd = join(root, 'fuzz');
  const cache = join(root, '.cache/fuzz');
  const corpus = join(cache, 'corpus');
  mkdirSync(corpus, { recursive: true });
  const host = /host: (\S+)/.exec(execFileSync('rustc', ['-vV'], { encoding: 'utf8' }))[1];
  const built = join(cache, 'target');
  // These flags are for the nightly compiler; the variable lets any have them.
  const env = { ...process.env, RUSTC_BOOTSTRAP: '1', RUSTFLAGS: COVERAGE, CARGO_TARGET_DIR: built };
  execFileSync('cargo', ['build', '--release', '--quiet', '--target', host], { cwd, env, stdio: 'inherit' });
  const seeds = join(cache, 'seeds');
  cpSync(join(cwd, 'seeds'), seeds, { recursive: true });
  const limits = [`-max_total_time=${seconds}`, '-timeout=20', '-rss_limit_mb=1024', '-max_len=8192', '-verbosity=0'];
  const places = [`-dict=${join(cwd, 'analyze.dict')}`, `-artifact_prefix=${cache}/`, corpus, seeds];
  const fuzzer = join(built, host, 'release/analyze');
  const { status } = spawnSync(fuzzer, [...limits, '-print_final_stats=1', ...places], { stdio: 'inherit' });
  process.exitCode = status === 0 ? 0 : 1;
});

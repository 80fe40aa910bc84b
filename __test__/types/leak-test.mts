// The types of heapdump-rs/test. Compiled, never run.

import { expectNoLeak, LeakError, type LeakSuspect } from 'heapdump-rs/test';

await expectNoLeak(() => {});
await expectNoLeak(async (run) => run.toFixed(), { iterations: 50, warmup: 10, max: 100, directory: '/a' });
await expectNoLeak(() => {}, { allow: 'sessions' });
await expectNoLeak(() => {}, { allow: [/sessions/, (suspect: LeakSuspect) => suspect.package === 'express'] });
// @ts-expect-error: it needs work
expectNoLeak();
// @ts-expect-error: only expectNoLeak makes them
new LeakError();
expectNoLeak(() => {}).catch((error: unknown) => {
  if (!(error instanceof LeakError)) throw error;
  const code: 'ERR_HEAPDUMP_LEAK' = error.code;
  return [code, ...error.snapshots, ...error.suspects.map(({ sentence, keptBy }) => sentence + keptBy)];
});

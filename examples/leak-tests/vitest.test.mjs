// npx vitest run vitest.test.mjs

import { test } from 'vitest';

import { expectNoLeak } from 'heapdump-rs/test';

import { follow } from './prices.cjs';

test('who stops following the prices is forgotten', { timeout: 300_000 }, async () => {
  await expectNoLeak(() => {
    const stop = follow(() => {});
    stop();
  });
});

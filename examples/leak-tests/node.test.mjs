// node --test node.test.mjs

import { test } from 'node:test';

import { expectNoLeak } from 'heapdump-rs/test';

import { follow } from './prices.cjs';

test('who stops following the prices is forgotten', async () => {
  await expectNoLeak(() => {
    const stop = follow(() => {});
    stop();
  });
});

// npx jest --testMatch '**/jest.test.cjs'
'use strict';

const { expectNoLeak } = require('heapdump-rs/test');

const { follow } = require('./prices.cjs');

test('who stops following the prices is forgotten', async () => {
  await expectNoLeak(() => {
    const stop = follow(() => {});
    stop();
  });
}, 300_000);

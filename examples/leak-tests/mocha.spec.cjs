// npx mocha mocha.spec.cjs
'use strict';

const { expectNoLeak } = require('heapdump-rs/test');

const { follow } = require('./prices.cjs');

it('forgets who stops following the prices', async () => {
  await expectNoLeak(() => {
    const stop = follow(() => {});
    stop();
  });
}).timeout(300_000);

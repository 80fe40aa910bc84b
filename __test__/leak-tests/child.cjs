// `node child.cjs WORK leak|repaired|clean`: expectNoLeak of one of works.cjs within node:test; what it says goes to descriptor 3.
'use strict';
const fs = require('node:fs');
const { test } = require('node:test');

const { expectNoLeak } = require('../../lib/leak-test.js');
const { clean, leaks } = require('./works.cjs');

const [name, variant] = process.argv.slice(2);
const work = variant === 'clean' ? clean[name] : leaks[name][variant === 'leak' ? 0 : 1];

test(name, async () => {
  const start = performance.now();
  const error = await expectNoLeak(work).then(() => undefined, (reason) => reason);
  const { code, message, stack } = error ?? {};
  fs.writeSync(3, JSON.stringify({ code, message: code ? message : stack, seconds: (performance.now() - start) / 1000 }));
});

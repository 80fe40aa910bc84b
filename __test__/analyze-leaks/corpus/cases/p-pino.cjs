// A child logger of pino for each request, kept with it.
'use strict';
const pino = require('pino');
const logger = pino({ enabled: false });
const requests = new Map();
exports.steps = 400;
exports.expect = /p-pino\.cjs: requests → Map/;
exports.leak = (i) => {
  requests.set(i, { log: logger.child({ request: i }), at: Date.now() });
};
exports.repaired = (i) => {
  exports.leak(i);
  requests.delete(i);
};

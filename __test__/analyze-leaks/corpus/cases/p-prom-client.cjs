// A label with a user id in it: a metric of unbounded cardinality.
'use strict';
const client = require('prom-client');
const visits = new client.Counter({ name: 'visits_total', help: 'h', labelNames: ['path', 'user'] });
exports.expect = /p-prom-client\.cjs: (visits|client) → [^]*hashMap/;
exports.leak = (i) => visits.inc({ path: `/cart/${i}`, user: `u${i}` });
exports.repaired = () => visits.inc({ path: '/cart', user: 'all' });

// Each request adds a route to a router that lives for ever.
'use strict';
const express = require('express');
const router = express.Router();
exports.steps = 300;
exports.expect = /p-express-routes\.cjs: router → router\(\)|p-express-routes\.cjs:8:/;
const add = (i) => {
  const settings = { id: i, rows: new Array(10).fill(i) };
  router.get(`/r/${i}`, (request, response) => response.json(settings));
};
exports.leak = (i) => add(i);
exports.repaired = (i) => {
  add(i);
  router.stack.pop();
};

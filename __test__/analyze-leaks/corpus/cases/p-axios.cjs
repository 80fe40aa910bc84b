// An interceptor is added for each request.
'use strict';
const axios = require('axios');
const api = axios.create();
const use = (i) => {
  const token = { user: i, claims: new Array(20).fill(i) };
  return api.interceptors.request.use((config) => ({ ...config, token }));
};
exports.expect = /p-axios\.cjs: api → [^]*interceptors/;
exports.leak = (i) => use(i);
exports.repaired = (i) => {
  use(i);
  api.interceptors.request.clear();
};

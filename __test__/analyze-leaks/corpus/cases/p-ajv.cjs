// A schema is compiled for each request: ajv caches by the schema object.
'use strict';
const Ajv = require('ajv');
const ajv = new Ajv();
const schema = (i) => ({ type: 'object', properties: { id: { type: 'number', minimum: i } } });
const one = ajv.compile(schema(0));
exports.steps = 150;
exports.warmup = 60;
exports.expect = /p-ajv\.cjs: ajv → Ajv/;
exports.leak = (i) => ajv.compile(schema(i))({ id: i });
exports.repaired = (i) => one({ id: i });

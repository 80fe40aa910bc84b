// A logger for each request, each in the container of all loggers.
'use strict';
const winston = require('winston');
exports.steps = 200;
exports.expect = /p-winston\.cjs: winston → [^]*loggers|loggers → Map|container\.js/;
const open = (i) => {
  const transports = [new winston.transports.Console({ silent: true })];
  return winston.loggers.add(`request-${i}`, { silent: true, transports });
};
exports.leak = (i) => open(i).info('x');
exports.repaired = (i) => {
  open(i).info('x');
  winston.loggers.close(`request-${i}`);
};

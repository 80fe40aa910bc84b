'use strict';

const { begin, readArguments } = require('./snapshot.js');

/** Resolves with the report of the complete file. */
function writeSnapshot(filename, options) {
  return new Promise((resolve, reject) => {
    const call = readArguments(filename, options);
    begin(call.name, call.options, (error, report) => {
      if (error !== null) reject(error);
      else resolve(report);
    });
  });
}

module.exports = { writeSnapshot };

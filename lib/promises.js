'use strict';

const path = require('node:path');
const { fileURLToPath } = require('node:url');

const { invalidValue } = require('./errors.js');
const { begin, checkPermission, readArguments } = require('./snapshot.js');

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

/** A page about a snapshot, or several of one process, by another process beside this one. Resolves with its path. */
async function leaveReport(snapshots, output) {
  const files = [snapshots].flat().map((file) => path.resolve(file instanceof URL ? fileURLToPath(file) : file));
  const { leaveReport: leave, reportName } = require('./leave-report.js');
  const report = output ?? reportName(files.at(-1));
  if (report === undefined) throw invalidValue('snapshots', 'files whose names end in .heapsnapshot, .gz or .zst after it', snapshots);
  checkPermission(path.resolve(report));
  return leave(files, path.resolve(report));
}

module.exports = { leaveReport, writeSnapshot };

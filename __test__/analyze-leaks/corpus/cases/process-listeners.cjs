// A listener on process for each tenant.
'use strict';
process.setMaxListeners(0);
function listen(i) {
  const tenant = { id: i, rows: new Array(20).fill(i) };
  const onWarning = (warning) => tenant.rows.push(warning);
  process.on('warning', onWarning);
  return onWarning;
}
exports.expect = /process-listeners\.cjs:6:/;
exports.leak = (i) => listen(i);
exports.repaired = (i) => process.removeListener('warning', listen(i));

'use strict';

// node-snapshot --pid PID --dry-run: which ways are open, and what each would cost the process. Nothing is done to it.

const { EXIT, size } = require('./command.js');
const { about, obstacleOutside, stopInspector, stopOutside } = require('./ways.js');

/**
 * @param {import('./processes.js').Target} target
 * @param {{via: string, maxStop?: number, json: boolean}} wanted
 */
function dryRun(target, wanted) {
  const found = ways(target, wanted);
  const open = found.find(({ way, obstacle }) => obstacle === null && isMeant(way, wanted.via));
  if (wanted.json) {
    const rss = target.memory('VmRSS');
    console.log(JSON.stringify({ schemaVersion: 1, command: 'node-snapshot', pid: target.pid, rss, via: open?.way ?? null, ways: found }, null, 2));
  } else {
    for (const { way, obstacle, stopMs } of found) {
      const stop = way === 'signal' ? 'a child of it writes the snapshot' : `would stop it for ${about(stopMs)}`;
      console.log(`${obstacle === null ? '✓' : '✗'} ${way.padEnd(9)} ${obstacle ?? stop}`);
    }
    const which = open === undefined ? 'no way is open' : `--via ${wanted.via} takes it by ${open.way}`;
    console.log(`process ${target.describe()}, ${size(target.memory('VmRSS'))}: ${which}`);
  }
  return open === undefined ? EXIT.findings : EXIT.fine;
}

/** The inspector is taken only by its name. */
const isMeant = (way, via) => way === via || (via === 'auto' && way !== 'inspector');

function ways(target, wanted) {
  const name = target.dumpSignal();
  const isNode = target.isNode();
  return [
    { way: 'signal', obstacle: name === undefined ? 'it answers no signal for heapdump-rs' : null, stopMs: null },
    { way: 'outside', obstacle: obstacleOutside(target, wanted) ?? null, stopMs: stopOutside(target) },
    { way: 'inspector', obstacle: isNode ? null : 'it is not a Node process', stopMs: stopInspector(target) },
  ];
}

module.exports = { dryRun };

// Live processes.

import fs from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

import { runCommand } from '../command.js';
import { heapText } from '../heap-text.js';
import { Problem } from '../problem.js';
import { counted, size } from '../units.js';

/** A hunt takes three; a loop would fill the disk. */
const MOST_CAPTURES = 20;

/** How a process would be asked. */
const WAYS = {
  signal: 'a child of it writes the snapshot',
  outside: 'is stopped for milliseconds and copied from outside',
  inspector: 'its inspector alone would answer, and stop it',
};

export const processes = ({ snapshots, settings: { capture, roots } }) => ({
  processes: {
    title: 'Running Node.js processes',
    description: 'The Node.js processes of this machine that this user may see, and whether each can be captured without stopping it.',
    input: {},
    async run(_, signal) {
      const rows = (await running(signal)).map((each) => ({
        pid: each.pid,
        parent: each.parent,
        user: each.user,
        script: each.script && heapText(each.script, 200),
        rss: each.rss,
        heapLimit: each.heapLimit,
        loaded: each.loaded,
        answers: each.answers,
        via: each.via,
      }));
      return {
        heading: `${counted(rows.length, 'process', 'processes')}${capture ? '' : '; the server was started without --allow-capture'}:`,
        rows,
        line: (row) => `${row.pid}: ${row.script}, ${size(row.rss)} resident; ${WAYS[row.via]}`,
      };
    },
  },
  ...(capture ? { capture: captureTool(snapshots, roots[0]) } : {}),
});

function captureTool(snapshots, directory) {
  let captures = 0;
  return {
    title: 'Take a snapshot of a running process',
    description:
      'Takes a heap snapshot of a Node.js process of this user. It goes on: a child of it writes the file, or it is stopped for milliseconds and copied from outside. Gives its handle.',
    input: { pid: z.number().int().positive() },
    annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false },
    async run({ pid }, signal) {
      if (captures >= MOST_CAPTURES) throw new Problem(`${MOST_CAPTURES} snapshots were taken since the server started; start it again for more`);
      const found = (await running(signal)).find((each) => each.pid === pid);
      if (found === undefined) throw new Problem(`no Node.js process ${pid} that this user may see; the tool processes lists them`);
      if (!isOwn(pid)) throw new Problem(`process ${pid} belongs to ${found.user}: only this user's processes are captured`);
      if (found.via === 'inspector') throw new Problem(`process ${pid} could be asked through its inspector alone, which would stop it for seconds: it is left alone`);
      const output = path.join(directory, `capture-${pid}-${new Date().toISOString().replace(/\W/g, '')}.heapsnapshot`);
      captures += 1;
      // A process that demands it compresses or encrypts, and the file is called so.
      const { file } = JSON.parse(await runCommand(['node-snapshot', '--pid', String(pid), '--exactly', '--json', '--output', output], { signal }));
      const { size: bytes } = fs.statSync(file);
      const handle = snapshots.handle(file);
      return { heading: `${handle}: ${heapText(path.basename(file))}, ${size(bytes)}, of process ${pid}, which goes on.`, facts: { snapshot: handle, file, bytes } };
    },
  };
}

async function running(signal) {
  return JSON.parse(await runCommand(['ps', '--json'], { signal })).processes;
}

/** Who may do all is not asked to. */
function isOwn(pid) {
  try {
    return fs.statSync(`/proc/${pid}`).uid === process.getuid();
  } catch {
    return false;
  }
}

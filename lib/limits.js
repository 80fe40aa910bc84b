'use strict';

// Limits that do not fit together: what V8's heap may take, what the container allows, what a snapshot needs. Said before it
// matters, by `doctor` and by heapdump-rs/register, and only where it is so.

const fs = require('node:fs');
const v8 = require('node:v8');

const { size } = require('./cli/command.js');
const { LEAST_TIMES, MOST_TIMES, childBudget, groupLimits, largestHeap, limitFor } = require('./cli/memory.js');
const { toBytes, toPercent } = require('./quantities.js');

const MIB = 1024 * 1024;

/**
 * What does not fit, and what to set; undefined where all does. Bytes.
 *
 * @param {object} found
 * @param {number} found.heapLimit what V8 may take
 * @param {number} [found.heap] the smallest heap that a snapshot is wanted of; by default a full one
 * @param {boolean} [found.atLimit] whether one is wanted of a full heap too
 * @param {number} [found.rest] anonymous memory of the process beside its heap
 * @param {{most: number, hard: number, oomGroup: boolean}} found.group what the control group allows: before it is slowed
 * down, and before the kernel kills
 */
function misfit({ heapLimit, heap = heapLimit, atLimit = true, rest = 0, group }) {
  const { most, hard, oomGroup } = group;
  const beside = rest > 0 ? ` with ${size(rest)} beside it` : '';
  const facts = `V8's heap may take ${size(heapLimit)}${beside}, the memory control group allows ${size(most)}`;
  if (atLimit && heapLimit + rest > hard) {
    return `${facts}: the kernel kills the process before V8 asks for a snapshot; ${advice(heapLimit, rest, group)}`;
  }
  const budget = childBudget({ available: most - heap - rest, oomGroup }, heap + rest);
  if (budget >= LEAST_TIMES * heap) return undefined;
  const needs = `a snapshot of ${size(heap)} of objects needs ${size(LEAST_TIMES * heap)} to ${size(MOST_TIMES * heap)} more`;
  return `${facts}, and ${needs}: it will never fit; ${advice(heap, rest, group)}`;
}

/** This process, for `misfit`, with the snapshots that a monitor's options want of its heap; undefined where they want none. */
function watched({ oom = false, threshold = [] }) {
  const { heap_size_limit: heapLimit, total_physical_size: taken } = v8.getHeapStatistics();
  const heaps = [threshold].flat().map((wanted) => {
    const percent = toPercent(wanted);
    return percent === undefined ? toBytes(wanted) : (percent / 100) * heapLimit;
  });
  const atLimit = oom !== false;
  if (atLimit) heaps.push(heapLimit);
  if (heaps.length === 0) return undefined;
  const self = { read: (name) => fs.readFileSync(`/proc/self/${name}`, 'utf8') };
  const anonymous = Number(/^RssAnon:\s*(\d+) kB$/m.exec(self.read('status'))?.[1] ?? 0) * 1024;
  const group = groupLimits(self);
  return group && { heapLimit, heap: Math.min(heapLimit, ...heaps), atLimit, rest: Math.max(0, anonymous - taken), group };
}

/** Two numbers, of which one is enough; both leave room for a snapshot that needs most. */
function advice(heap, rest, group) {
  const limit = `a limit of ${Math.ceil(limitFor(heap, rest, group) / MIB)}M`;
  const megabytes = Math.floor(largestHeap(rest, group) / MIB);
  return megabytes < 16 ? `set ${limit}` : `set --max-old-space-size=${megabytes}, or ${limit}`;
}

module.exports = { misfit, watched };

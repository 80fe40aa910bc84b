'use strict';

// Sizes, percentages and times as people write them: '1.5GB', '80%', '10m'.

/** Powers of 1024, as heaps are measured; 'MB' and 'MiB' mean the same. */
const UNITS = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };
const TIMES = { '': 1, ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

const SIZE = /^(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?$/i;
const PERCENT = /^(\d+(?:\.\d+)?)\s*%$/;
const TIME = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)$/i;

/** Bytes, from a number or a text; undefined when it is neither. */
function toBytes(value) {
  if (typeof value === 'number') return value >= 0 ? value : undefined;
  const [, number, unit] = SIZE.exec(value) ?? [];
  return number && Number(number) * UNITS[unit.toLowerCase()];
}

/** The number before the sign; undefined when there is none. */
function toPercent(value) {
  const [, number] = PERCENT.exec(value) ?? [];
  return number && Number(number);
}

/** Milliseconds, from a number or a text; undefined when it is neither. */
function toMilliseconds(value) {
  if (typeof value === 'number') return value >= 0 ? value : undefined;
  const [, number, unit] = TIME.exec(value) ?? [];
  return number && Number(number) * TIMES[unit.toLowerCase()];
}

module.exports = { toBytes, toPercent, toMilliseconds };

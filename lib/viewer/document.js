'use strict';

// The document that a report is made of (`Report` in ../analyze.d.ts): what the analyzer says, the JSON beside each file, and a headline.

const fs = require('node:fs');

const { EXTENSION, IMAGE_NAME } = require('../extensions.js');

/** @param {object} found `heapdump-rs report`'s answer: values, files, heap, trend, leaks */
function documentOf({ values, files, heap, trend, leaks }) {
  const document = { schemaVersion: 1, command: 'report', headline: '', values, files, records: files.map(recordBeside), heap, trend, leaks };
  document.headline = headline(document);
  return document;
}

/** A document that was written before; throws a text that says what is wrong with it. */
function readDocument(text) {
  let document;
  try {
    document = JSON.parse(text);
  } catch {
    throw new Error('it is no JSON');
  }
  const isReport = document?.command === 'report' && document.schemaVersion === 1 && Array.isArray(document.heap?.objects);
  if (!isReport) throw new Error('it is no report: `heapdump-rs report FILE -o report.json` writes one');
  if (typeof document.headline === 'string' && Array.isArray(document.records)) return document;
  // The crate's command knows neither.
  return documentOf(document);
}

/** `a.heapsnapshot.json` or `a.json` beside `a.heapsnapshot`; null where there is none. */
function recordBeside(file) {
  const stem = file.replace(IMAGE_NAME, EXTENSION).replace(/\.heapsnapshot(\.gz|\.zst)?$/, '');
  for (const beside of [`${file}.json`, `${stem}.json`]) {
    try {
      const record = JSON.parse(fs.readFileSync(beside, 'utf8'));
      // Another file may have the name.
      if (typeof record?.time === 'string' && typeof record.reason === 'string') return record;
    } catch {
      // Not there, or not ours.
    }
  }
  return null;
}

/** What matters most: `412.0 MB; 61 % is held by sessions in server.js.` */
function headline({ heap, trend, files }) {
  const { totalSize, suspects } = heap.suspects;
  const [most] = suspects;
  const now = `${size(totalSize)}; ${most ? heldBy(most, heap, totalSize) : 'nothing holds a tenth of it by itself'}.`;
  if (trend === null) return now;
  const { total } = trend.growth;
  return `${now} ${total > 0 ? `It grew by ${size(total)}` : 'It did not grow'} over ${files.length} snapshots.`;
}

function heldBy(suspect, heap, totalSize) {
  const point = suspect.accumulationPoint ?? suspect.object;
  const share = `${Math.round((100 * suspect.retainedSize) / (totalSize || 1))} %`;
  if (suspect.count > 1) return `${share} is in ${suspect.count.toLocaleString('en-US')} ${suspect.class} objects`;
  const named = heap.objects.find(({ object }) => object.id === point.id)?.named;
  return `${share} is held by ${named ? plain(named) : `${/^[aeiou]/i.test(point.class) ? 'an' : 'a'} ${point.class}`}`;
}

const plain = (words) => words.replaceAll('`', '');

/** "1.2 GB" as DevTools counts. */
function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  for (; bytes >= 999.95 && unit < units.length - 1; unit++) bytes /= 1000;
  return `${unit === 0 ? bytes : bytes.toFixed(1)} ${units[unit]}`;
}

module.exports = { documentOf, readDocument, size };

// Several snapshots of one process.

import { findLeaks } from 'heapdump-rs/analyze';
import { z } from 'zod';

import { runCommand } from '../command.js';
import { heapText } from '../heap-text.js';
import { counted, size } from '../units.js';
import { MOST_ROWS, filter, objectRow, place, snapshot } from './shared.js';

export const comparisons = ({ snapshots, texts }) => ({
  find_leaks: {
    title: 'Find what leaks',
    description:
      'What grew from the first snapshot to the last and is still held: what and how fast, what holds it, the path that leads to a variable in the code, where it is made, what to do. Two or three snapshots of one process, the earliest first, with the same kind of work between them.',
    input: { snapshots: z.array(snapshot).min(2).max(3) },
    async run({ snapshots: named }) {
      const opened = [];
      for (const one of named) opened.push(await snapshots.get(one));
      const report = await findLeaks(opened, { limit: 50 });
      const rows = report.suspects.map((suspect) => suspectRow(suspect, texts));
      const sizes = report.totalSizes.map(size).join(' → ');
      return {
        heading: rows.length === 0 ? `The heap: ${sizes}. Nothing that grew is still held.` : `The heap: ${sizes}. ${counted(report.suspectCount, 'suspect')}, the likeliest first:`,
        facts: { totalSizes: report.totalSizes, suspectCount: report.suspectCount, matchedById: report.matchedById },
        rows,
        line: suspectLine,
      };
    },
  },

  compare: {
    title: 'What changed between two snapshots',
    description: 'By class: how many more objects and bytes the later snapshot has. For a leak, find_leaks says more.',
    input: { base: snapshot, target: snapshot, filter },
    async run({ base, target, filter: wanted }) {
      const earlier = await snapshots.get(base);
      const report = await earlier.compare(await snapshots.get(target), { filter: wanted, limit: MOST_ROWS });
      return {
        heading: `${size(report.baseSize)} → ${size(report.targetSize)}, ${counted(report.changedClasses, 'class', 'classes')} changed:`,
        facts: { baseSize: report.baseSize, targetSize: report.targetSize, matchedById: report.matchedById },
        rows: report.classes.map(({ name, countDelta, sizeDelta, retainedDelta }) => ({ class: texts.className(name), countDelta, sizeDelta, retainedDelta })),
        line: (row) => `${row.class}: ${signed(row.countDelta)} objects, ${signed(row.sizeDelta, size)}, ${signed(row.retainedDelta, size)} retained`,
      };
    },
  },

  trend: {
    title: 'What grew in every step',
    description: 'Three or more snapshots of one process, the earliest first: what grew in every step, per step and per hour.',
    input: { snapshots: z.array(snapshot).min(3).max(50) },
    async run({ snapshots: named }, signal) {
      const files = named.map((one) => snapshots.path(one));
      const report = JSON.parse(await runCommand(['trend', '--json', ...snapshots.identityWords, '--', ...files], { signal }));
      const rows = report.groups.map((group) => ({
        class: texts.className(group.class),
        heldBy: group.heldBy && texts.className(group.heldBy),
        everyStep: group.everyStep,
        counts: group.counts,
        growth: group.growth,
        path: texts.path(group.path.text),
      }));
      const sizes = report.snapshots.map(({ totalSize }) => size(totalSize)).join(' → ');
      return {
        heading: `The heap: ${sizes}. ${counted(report.everyStep, 'group')} grew in every step:`,
        facts: { growth: report.growth, everyStep: report.everyStep },
        rows,
        line: (row) => `${row.class}${row.heldBy ? ` in ${row.heldBy}` : ''}: ${row.counts.join(' → ')}, ${signed(row.growth.perStep, size)} a step; path ${row.path}`,
      };
    },
  },
});

function suspectRow(suspect, texts) {
  const { class: name, counts, growth, retainedSizes, what, held, advice, example, path, location, functions } = suspect;
  return {
    class: texts.className(name),
    what: texts.sentence(what),
    held: held && texts.sentence(held),
    path: texts.path(path.text),
    counts,
    growth,
    retainedSizes,
    madeAt: place(location),
    functions: functions.slice(0, 5).map((code) => ({ name: heapText(code.name), place: place(code.place), count: code.count })),
    advice,
    example: objectRow(example, texts),
  };
}

function suspectLine(row) {
  const code = row.functions.map(({ name, place: where, count }) => `${count} functions ${name} of ${where}`);
  return [
    row.what,
    ...(row.held ? [`  held: ${row.held}`] : []),
    `  path: ${row.path}`,
    ...(row.madeAt ? [`  made at: ${row.madeAt}`] : []),
    ...(code.length > 0 ? [`  code: ${code.join('; ')}`] : []),
    `  example: @${row.example.id} ${row.example.name}`,
    `  to do: ${row.advice}`,
  ].join('\n');
}

const signed = (number, show = String) => `${number > 0 ? '+' : ''}${show(number)}`;

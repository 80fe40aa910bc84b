// What a snapshot is made of.

import path from 'node:path';
import { z } from 'zod';

import { heapText } from '../heap-text.js';
import { counted, size } from '../units.js';
import { MOST_ROWS, filter, objectRow, snapshot } from './shared.js';

export const overviews = ({ snapshots, texts }) => ({
  open_snapshot: {
    title: 'Open a snapshot',
    description: 'Loads a V8 heap snapshot and gives its handle, its size, and what its bytes are. Start here.',
    input: { file: z.string().max(4096).describe('a path below a --root of the server') },
    async run({ file }) {
      const handle = snapshots.handle(file);
      const opened = await snapshots.get(handle);
      const [{ nodes, edges, totalSize, classCount }, statistics] = [await opened.summary({ limit: 1 }), await opened.statistics()];
      const { total: _, ...parts } = statistics;
      const rows = Object.entries(parts).map(([part, bytes]) => ({ part, bytes }));
      const name = path.basename(snapshots.file(handle));
      return {
        heading: `${handle}: ${heapText(name)}, ${size(totalSize)}, ${counted(nodes, 'object')}, ${counted(edges, 'reference')}, ${counted(classCount, 'class', 'classes')}. By part:`,
        facts: { snapshot: handle, totalSize, nodes, edges, classCount },
        rows: rows.sort((a, b) => b.bytes - a.bytes || (a.part < b.part ? -1 : 1)),
        line: ({ part, bytes }) => `${part}: ${size(bytes)}`,
      };
    },
  },

  classes: {
    title: 'What the heap is made of',
    description: 'Classes by retained bytes; or the npm packages or scripts whose code made and holds the objects.',
    input: {
      snapshot,
      by: z.enum(['class', 'package', 'script']).default('class'),
      filter,
      sort: z.enum(['retained', 'shallow', 'count', 'name']).default('retained'),
    },
    async run({ snapshot: handle, by, ...question }) {
      const opened = await snapshots.get(handle);
      if (by !== 'class') return shares(await opened.summary({ by, ...question, limit: MOST_ROWS }), by);
      const { classes, classCount, totalSize } = await opened.summary({ ...question, limit: MOST_ROWS });
      return {
        heading: `${counted(classCount, 'class', 'classes')} in ${size(totalSize)}:`,
        facts: { classCount, totalSize },
        rows: classes.map(({ name, count, shallowSize, retainedSize, distance }) => ({ class: texts.className(name), count, shallowSize, retainedSize, distance })),
        line: (row) => `${row.class}: ${row.count} keep ${size(row.retainedSize)}, are ${size(row.shallowSize)}`,
      };
    },
  },

  strings: {
    title: 'Duplicate strings',
    description: 'Texts that are in the heap more than once, by the bytes that the copies waste.',
    input: { snapshot, filter },
    async run({ snapshot: handle, filter: wanted }) {
      const { strings, duplicates, wastedSize } = await (await snapshots.get(handle)).strings({ filter: wanted, limit: MOST_ROWS });
      return {
        heading: `${counted(duplicates, 'text')} more than once: ${size(wastedSize)} wasted.`,
        facts: { duplicates, wastedSize },
        rows: strings.map(({ text, count, wastedSize: wasted, exampleId }) => ({ text: texts.contents(text), count, wastedSize: wasted, exampleId })),
        line: (row) => `${row.text}: ${row.count} times, ${size(row.wastedSize)} wasted, such as @${row.exampleId}`,
      };
    },
  },

  suspects: {
    title: 'Suspects in one snapshot',
    description: 'What keeps most of the heap alive, what it is accumulated in, and the way to it from the roots. With two or three snapshots, find_leaks says more.',
    input: { snapshot, threshold: z.number().min(0).max(1).default(0.1).describe('the least share of the heap') },
    async run({ snapshot: handle, threshold }) {
      const { suspects, totalSize } = await (await snapshots.get(handle)).suspects({ threshold });
      const rows = suspects.map(({ class: name, count, retainedSize, object, accumulationPoint, path: { text } }) => ({
        class: texts.className(name),
        count,
        retainedSize,
        object: objectRow(object, texts),
        accumulatedIn: accumulationPoint && objectRow(accumulationPoint, texts),
        path: texts.path(text),
      }));
      const place = ({ accumulatedIn: at }) => (at ? `, accumulated in @${at.id} ${at.name}` : '');
      return {
        heading: `${counted(rows.length, 'suspect')} in ${size(totalSize)}:`,
        facts: { totalSize },
        rows,
        line: (row) => `${row.count} ${row.class} keep ${size(row.retainedSize)} (${percent(row.retainedSize, totalSize)})${place(row)}; path ${row.path}`,
      };
    },
  },
});

function shares({ shares: all, totalSize, shareCount }, by) {
  return {
    heading: `${counted(shareCount, by)} in ${size(totalSize)}, by whose code made and holds the objects:`,
    facts: { totalSize },
    rows: all.map(({ package: name, version, script, count, shallowSize, retainedSize }) => ({
      package: heapText(name),
      version: version && heapText(version),
      ...(script === undefined ? {} : { script: heapText(script, 200) }),
      count,
      shallowSize,
      retainedSize,
    })),
    line: (row) =>
      `${row.script ?? row.package}${row.version ? ` ${row.version}` : ''}: ${counted(row.count, 'object')}, ${size(row.shallowSize)}${row.retainedSize === null ? '' : `, keeps ${size(row.retainedSize)}`}`,
  };
}

const percent = (part, whole) => `${((100 * part) / whole).toFixed(1)} %`;

// One object, those like it, and what holds it.

import { z } from 'zod';

import { heapText } from '../heap-text.js';
import { counted, size } from '../units.js';
import { MOST_ROWS, classPattern, filter, id, objectLine, objectRow, place, referenceLine, referenceRow, snapshot } from './shared.js';

export const objects = ({ snapshots, texts }) => ({
  objects: {
    title: 'Objects that fit a question',
    description:
      "Objects of a class that fit a condition, such as `retained > 1MB and edges > 100`. `where` knows retained, shallow, edges, distance, name, class, id, type, detached and an object's properties.",
    input: {
      snapshot,
      class: z.string().max(1000).optional().describe('a name, or /a regular expression/'),
      where: z.string().max(2000).optional(),
      filter,
      properties: z.array(z.string().max(200)).max(5).default([]).describe('properties or variables that the objects have; their values are shown'),
      sort: z.enum(['retained', 'shallow', 'distance', 'edges', 'name', 'class', 'id']).default('retained'),
    },
    async run({ snapshot: handle, class: name, ...question }) {
      const wanted = name === undefined ? {} : { class: classPattern(name) };
      const report = await (await snapshots.get(handle)).objects({ ...question, ...wanted, limit: MOST_ROWS });
      const rows = report.objects.map((object) => ({
        ...objectRow(object, texts),
        edges: object.edges,
        ...(object.properties === undefined ? {} : { properties: propertiesOf(object.properties, texts) }),
      }));
      const shown = ({ properties = {} }) => Object.entries(properties).map(([key, value]) => `; ${key} = ${value}`).join('');
      return {
        heading: `${counted(report.count, 'object')}, ${size(report.shallowSize)}; together they keep ${size(report.retainedSize)}.`,
        facts: { count: report.count, shallowSize: report.shallowSize, retainedSize: report.retainedSize },
        rows,
        line: (row) => `${objectLine(row)}${shown(row)}`,
      };
    },
  },

  object: {
    title: 'One object',
    description: 'What an object is, where its constructor or function is in the source, the way to it from the roots, and what it refers to.',
    input: { snapshot, id, filter },
    async run({ snapshot: handle, id: number, filter: wanted }) {
      const report = await (await snapshots.get(handle)).inspect(number, { filter: wanted, limit: MOST_ROWS });
      const object = objectRow(report.object, texts);
      const path = texts.path(report.path.text);
      const where = place(report.location);
      const made = report.allocatedBy?.slice(0, 5).map((call) => `${heapText(call.function)} ${heapText(call.script, 200)}:${call.line}:${call.column}`);
      const lines = [
        objectLine(object),
        ...(where ? [`in the source: ${where}`] : []),
        ...(made?.length ? [`allocated by: ${made.join(', from ')}`] : []),
        `path: ${path}`,
        `freed with: ${objectLine(objectRow(report.dominator, texts))}`,
        `${counted(report.retainerCount, 'retainer')} (the tool retainers), ${counted(report.referenceCount, 'reference')}:`,
      ];
      const dominator = objectRow(report.dominator, texts);
      return {
        heading: lines.join('\n'),
        facts: { object, path, place: where, dominator, retainerCount: report.retainerCount, ...(made ? { allocatedBy: made } : {}) },
        rows: report.references.map((reference) => referenceRow(reference, texts)),
        line: referenceLine,
      };
    },
  },

  retainers: {
    title: 'What holds an object',
    description: 'All that refers to an object, nearest to the roots first, and the shortest way from the roots. `ignore` leaves objects out, with all ways through them.',
    input: {
      snapshot,
      id,
      ignore: z.array(id).max(50).default([]),
      jsOnly: z.boolean().default(true).describe('only objects and functions, without what V8 keeps between'),
    },
    async run({ snapshot: handle, id: number, ignore, jsOnly }) {
      const opened = await snapshots.get(handle);
      const retainers = await opened.retainers(number, { ignore, jsOnly, limit: MOST_ROWS });
      const path = texts.path((await opened.path(number, { ignore, jsOnly })).text);
      return {
        heading: `${counted(retainers.length, 'retainer')} of @${String(number).replace('@', '')}; path: ${path}`,
        facts: { path },
        rows: retainers.map((reference) => referenceRow(reference, texts)),
        line: referenceLine,
      };
    },
  },

  dominators: {
    title: 'What would be freed with an object',
    description: 'The objects that an object alone keeps alive (it dominates them), biggest first; without an id, those that keep most of the heap alive.',
    input: { snapshot, id: id.optional() },
    async run({ snapshot: handle, id: number }) {
      const dominated = await (await snapshots.get(handle)).dominators(number, { limit: MOST_ROWS });
      return {
        heading: number === undefined ? 'The objects that keep most alive:' : `@${String(number).replace('@', '')} alone keeps alive:`,
        rows: dominated.map((object) => objectRow(object, texts)),
        line: objectLine,
      };
    },
  },

  what_if: {
    title: 'What would be freed',
    description: 'How much memory would be free without some objects, or without all of a class; exact, by looking anew at what the roots reach. Use it to check a cause before code is changed.',
    input: { snapshot, without: z.array(z.string().max(1000)).min(1).max(20).describe('@123, a class, or /a regular expression/') },
    async run({ snapshot: handle, without }) {
      const question = { without: without.map(classPattern), limit: MOST_ROWS };
      const { selection, classes, totalSize } = await (await snapshots.get(handle)).summary(question);
      return {
        heading: `Without ${counted(selection.without ?? 0, 'object')}, ${counted(selection.objects, 'object')} and ${size(selection.shallowSize)} of ${size(totalSize)} would be freed. By class:`,
        facts: { without: selection.without, freedObjects: selection.objects, freedSize: selection.shallowSize, totalSize },
        rows: classes.map(({ name, count, shallowSize }) => ({ class: texts.className(name), count, shallowSize })),
        line: (row) => `${row.class}: ${row.count}, ${size(row.shallowSize)}`,
      };
    },
  },
});

function propertiesOf(properties, texts) {
  return Object.fromEntries(Object.entries(properties).map(([key, object]) => [key, objectRow(object, texts).name]));
}

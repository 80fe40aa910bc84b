// What several tools ask for and show.

import { z } from 'zod';

import { heapText, kindText } from '../heap-text.js';
import { Problem } from '../problem.js';
import { size } from '../units.js';

export const snapshot = z.string().max(4096).describe('a handle such as s1, or the path of a snapshot (.heapsnapshot, .gz, .zst)');
export const id = z.union([z.string().max(40), z.number().int()]).describe("an object's id in this snapshot: 123 or @123");
export const filter = z.string().max(1000).optional().describe('only names that contain this, in any case');
/** Of a list that goes on, the rest helps nobody. */
export const MOST_ROWS = 500;

/** An object for a row. */
export function objectRow(object, texts) {
  const { id, class: className, type, shallowSize, retainedSize, distance } = object;
  return { id, name: texts.object(object), class: texts.className(className), type: kindText(type), shallowSize, retainedSize, distance };
}

export const objectLine = ({ id, name, class: className, retainedSize, shallowSize }) =>
  `@${id} ${name} ${className} keeps ${size(retainedSize)}, is ${size(shallowSize)}`;

export const referenceRow = (reference, texts) => ({
  type: kindText(reference.type),
  by: texts.edge(reference),
  object: objectRow(reference.object, texts),
});

export const referenceLine = ({ type, by, object }) => `${type} ${by}: ${objectLine(object)}`;

export const place = (location) =>
  location && location.script !== undefined ? `${heapText(location.script ?? `script ${location.scriptId}`, 200)}:${location.line}:${location.column}` : null;

/** A class of the caller's: a name, or a regular expression between slashes. */
export function classPattern(text) {
  const [, source, flags] = /^\/(.+)\/(i?)$/s.exec(text) ?? [];
  if (source === undefined) return text;
  try {
    // It is the analyzer's engine that searches, in linear time; this one only reads it.
    return new RegExp(source, flags);
  } catch (error) {
    throw new Problem(`class ${text}: ${error.message}`);
  }
}

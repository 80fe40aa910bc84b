// What a class looks like: a hue for each sort of memory, and its shades for depth. The same in light and dark.

import type { TreeNode } from '../../../lib/analyze.d.ts';

export type Sort = 'text' | 'code' | 'native' | 'container' | 'system' | 'variables' | 'class';

/** Hue, chroma and words of each; in the order of the legend. */
const SORTS: Record<Sort, { hue: number; chroma: number; words: string }> = {
  class: { hue: 255, chroma: 0.095, words: 'objects of a class' },
  container: { hue: 200, chroma: 0.075, words: 'objects, arrays, maps, sets' },
  text: { hue: 75, chroma: 0.1, words: 'strings' },
  variables: { hue: 330, chroma: 0.07, words: 'variables of functions' },
  code: { hue: 295, chroma: 0.085, words: 'functions and code' },
  native: { hue: 155, chroma: 0.08, words: 'buffers and native memory' },
  system: { hue: 260, chroma: 0.012, words: 'V8 itself' },
};

export const legend = (Object.keys(SORTS) as Sort[]).map((sort) => ({ sort, words: SORTS[sort].words }));

const STRINGS = /^\((concatenated |sliced )?string\)$|^\(symbol\)$/;
const CODE = /^\((compiled code|closure|object shape|regexp)\)$|^Function$|^RegExp$|^Generator|^AsyncFunction/;
const CONTAINERS = /^(Object|Array|Map|Set|WeakMap|WeakSet|\{.*\})$/s;
const NATIVE = /^(ArrayBuffer|SharedArrayBuffer|Buffer|DataView|system \/ JSArrayBufferData|Node \/ .*|\w*Array)$/;

export function sortOf(className: string): Sort {
  if (STRINGS.test(className)) return 'text';
  if (CODE.test(className)) return 'code';
  if (className.startsWith('system / Context')) return 'variables';
  if (CONTAINERS.test(className)) return 'container';
  if (NATIVE.test(className)) return 'native';
  if (className.startsWith('system / ') || className.startsWith('(')) return 'system';
  return 'class';
}

export interface Paint {
  fill: string;
  text: string;
  line: string;
}

export function paint(node: TreeNode, depth: number, dark: boolean): Paint {
  return paintSort(sortOf(node.class), depth, dark);
}

export function paintSort(sort: Sort, depth: number, dark: boolean): Paint {
  const { hue, chroma } = SORTS[sort];
  const step = Math.min(depth, 6);
  const light = dark ? 0.33 + step * 0.035 : 0.9 - step * 0.035;
  const colour = (l: number, c: number) => `oklch(${l.toFixed(3)} ${c.toFixed(3)} ${hue})`;
  return {
    fill: colour(light, dark ? chroma * 0.85 : chroma * (0.55 + step * 0.09)),
    text: dark ? colour(0.95, chroma * 0.2) : colour(0.25, chroma * 0.6),
    line: dark ? colour(light - 0.12, chroma * 0.6) : colour(light - 0.14, chroma),
  };
}

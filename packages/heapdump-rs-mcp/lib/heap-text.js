// Text from a heap: another program's, perhaps an attacker's. It is clipped, nothing in it acts, and «» say where it begins and ends.
// Without --values it has only names, those that code gave: what may be data that became a key is told by its length.

const LONGEST = 100;
const LONG = 400;
/** What V8 takes the contents of a text, a number or a pattern from. */
const VALUES = new Set(['string', 'concatenated string', 'sliced string', 'regexp', 'symbol', 'number', 'bigint', 'heap number']);
// NodeKind::name and EdgeKind::name of crates/heapsnapshot.
const KINDS = new Set([
  ...VALUES,
  ...['hidden', 'array', 'object', 'code', 'closure', 'native', 'synthetic', 'object shape', 'other'],
  ...['context', 'element', 'property', 'internal', 'shortcut', 'weak', 'invisible'],
]);
const TEXTS = new Set(['string', 'concatenated string', 'sliced string']);
const NAME = /^[#@]?[\p{ID_Start}$_][\p{ID_Continue}$]{0,39}$/u;
/** Few names have so many digits; most tokens do. */
const DIGITS = /(?:\d\D*){4}/;
// Controls, what changes the direction of text, what is not to be seen, halves of pairs, and the marks themselves.
const ACTS = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}«»]/gu;

/** Marked as data. */
export function heapText(text, longest = LONGEST) {
  return `«${harmless(clipped(text, longest))}»`;
}

/** What an error of the analyzer says. The lines of a query that it points into stay. */
export function errorText(text) {
  return clipped(text, 1000).split('\n').map(harmless).join('\n');
}

/** What kind an object or a reference is of: V8's word; a file that has other kinds is another program's. */
export const kindText = (kind) => (KINDS.has(kind) ? kind : heapText(kind, 40));

/** How a snapshot's texts are shown. */
export class HeapTexts {
  #values;

  constructor(values) {
    this.#values = values;
  }

  /** What an object is called: its class, a function's name, `{a, b}` of its properties, or a value. */
  object({ type, name }) {
    if (this.#values) return heapText(name);
    if (TEXTS.has(type)) return this.contents(name);
    if (VALUES.has(type)) return `a ${type}`;
    return this.className(name || '(anonymous)');
  }

  /** A class' name comes from code; but `{a, b}` of the properties that its objects have. */
  className(name) {
    const properties = /^\{(.*)\}$/s.exec(name)?.[1];
    const shown = this.#values || properties === undefined || properties.split(', ').every((each) => isName(each.replace(/^(?:get|set) |^…$/, '') || 'x'));
    return heapText(shown ? name : '{…}');
  }

  contents(text) {
    return this.#values ? heapText(text) : `a string of ${[...text].length} characters`;
  }

  /** What a reference is called. */
  edge({ type, name }) {
    const text = String(name);
    const shown = this.#values || type !== 'property' || isName(text) || /^\d{1,10}$/.test(text) || /^<symbol [\w.]*>$/.test(text);
    return shown ? heapText(text) : keyOf(text);
  }

  /** A way in words: `server.js: sessions → Map → [key] → Session`. */
  path(text) {
    if (this.#values) return heapText(text, LONG);
    const [, anchor, rest] = /^((?:[^→]*: )?)(.*)$/s.exec(text);
    const words = rest.split(' → ').map((word) => (isWord(word) ? word : keyOf(word)));
    return heapText(anchor + words.join(' → '), LONG);
  }

  /** What has names between back quotes. */
  sentence(text) {
    if (this.#values) return heapText(text, LONG);
    return heapText(text.replace(/`([^`]*)`/g, (whole, name) => (isWord(name) || /^(?:module|globalThis)\./.test(name) ? whole : keyOf(name))), LONG);
  }
}

function clipped(text, longest) {
  // A character is two units at most: no more of a long text is taken apart.
  const characters = [...text.slice(0, 2 * longest + 2)];
  return characters.length > longest ? `${characters.slice(0, longest).join('')}…` : text;
}

const harmless = (text) => text.replace(ACTS, (character) => `\\u{${character.codePointAt(0).toString(16)}}`);

const isName = (text) => NAME.test(text) && !DIGITS.test(text);

/** A name, a class, or one of the words between them. */
function isWord(text) {
  const bare = text.replace(/ \(\d+ times\)$/, '').replace(/\(\)$/, '');
  return isName(bare) || /^(?:\[(?:weak )?key\]|…|__proto__|\((?:anonymous function|string|[a-z ]{1,30})\)|system \/ \w+|\w+: \w+|get \w+|set \w+)?$/.test(bare);
}

const keyOf = (text) => `a key of ${[...text].length} characters`;

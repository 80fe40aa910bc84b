// What a redacted snapshot must be beside its original: the same graph, texts as long, as wide, as equal, and none of them there.

import { readFileSync } from 'node:fs';

const isWide = (text) => /[^\0-\xff]/.test(text);

/** What is wrong, at most ten of it. */
export function differences(originalFile, redactedFile) {
  const [before, after] = [originalFile, redactedFile].map((file) => JSON.parse(readFileSync(file, 'utf8')));
  const wrong = [];
  const say = (text) => wrong.length < 10 && wrong.push(text);
  const { node_fields: fields, node_types: types, edge_types: kinds } = before.snapshot.meta;
  const pseudonyms = new Map();
  const originals = new Map();
  // Equal stays equal, and nothing becomes equal: among texts, and among names.
  const pair = (place, text, shown) => {
    if (text.length !== shown.length) say(`${place}: another length: ${JSON.stringify(text)} ${JSON.stringify(shown)}`);
    if (isWide(text) !== isWide(shown)) say(`${place}: another width: ${JSON.stringify(text)}`);
    const known = pseudonyms.get(place + text);
    if (known !== undefined && known !== shown) say(`${place}: two pseudonyms of ${JSON.stringify(text)}`);
    pseudonyms.set(place + text, shown);
    const other = originals.get(place + shown);
    if (other !== undefined && other !== text) say(`${place}: one pseudonym of ${JSON.stringify(text)} and ${JSON.stringify(other)}`);
    originals.set(place + shown, text);
  };
  if (before.nodes.length !== after.nodes.length) say('another number of nodes');
  if (before.edges.length !== after.edges.length) say('another number of edges');
  if (JSON.stringify(before.locations) !== JSON.stringify(after.locations)) say('other locations');
  for (let at = 0; at < before.nodes.length; at++) {
    if (at % fields.length !== 1) {
      if (before.nodes[at] !== after.nodes[at]) say(`node ${at}: ${before.nodes[at]} ${after.nodes[at]}`);
      continue;
    }
    const isText = ['string', 'regexp'].includes(types[0][before.nodes[at - 1]]);
    const [text, shown] = [before.strings[before.nodes[at]], after.strings[after.nodes[at]]];
    pair(isText ? 'text ' : 'name ', text, shown);
    if (isText && text === shown && text.length > 2) say(`a text stayed: ${JSON.stringify(text)}`);
  }
  for (let at = 0; at < before.edges.length; at += 3) {
    const isIndex = ['element', 'hidden'].includes(kinds[0][before.edges[at]]);
    const same = (field) => before.edges[at + field] === after.edges[at + field];
    if (!same(0) || !same(2) || (isIndex && !same(1))) say(`edge ${at / 3}`);
    if (!isIndex) pair('name ', before.strings[before.edges[at + 1]], after.strings[after.edges[at + 1]]);
  }
  if (after.snapshot.redacted?.by !== 'heapdump-rs') say('no mark');
  return wrong;
}

/** All numbers of an answer, whatever it calls what they are of: rows that are equal but for their names may stand in any order. */
export function figures(answer) {
  const rows = [];
  const walk = (value, place) => {
    if (Array.isArray(value)) rows.push(...value.map((each) => JSON.stringify(each, (key, inner) => (typeof inner === 'string' ? undefined : inner))));
    else if (value !== null && typeof value === 'object') for (const [key, inner] of Object.entries(value)) walk(inner, `${place}.${key}`);
    else if (typeof value === 'number') rows.push(`${place} ${value}`);
  };
  walk(answer, '');
  return rows.sort().join('\n');
}

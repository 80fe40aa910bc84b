// Files that are odd and that DevTools loads: small snapshots by hand, by name.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const file = path.join(root, 'crates/heapsnapshot/tests/files/symbol-not-declared.heapsnapshot');

/** Writes them into a directory; the names and paths. */
export function oddFiles(directory) {
  const undeclared = fs.readFileSync(file, 'utf8');
  const plain = change(undeclared, '"sliced string"]', '"sliced string", "symbol"]');
  const lists = '"location_fields": null, "sample_fields": null, "gone":';
  const odd = {
    'a node type beyond the declared ones, as V8 of 2015 to 2017 wrote symbols': undeclared,
    'a node type far beyond': change(plain, '12, 4, 7, 16', '300, 4, 7, 16'),
    'no declared node types': plain.replace(/"node_types": \[\[.*?\], "string"/, '"node_types": [[], "string"'),
    'the edge type that DevTools adds': change(plain, '2, 5, 18', '7, 5, 18'),
    'an edge type beyond': change(plain, '2, 5, 18', '9, 5, 18'),
    'an edge type far beyond': change(plain, '2, 5, 18', '300, 5, 18'),
    'text before': `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n${plain}`,
    'text after': `${plain}\nDone.\n`,
    'zeros after': `${plain}\0\0\0\0`,
    'within an answer': `{"id":1,"result":${plain}}`,
    'a byte order mark': `\ufeff${plain}`,
    'no last brace': plain.slice(0, -1),
    'lists that are null': change(plain, '"sample_fields":', lists),
    'no traces and samples': plain.replace(/"trace_function_infos".*"samples": \[\], /, '')
      .replace(/, "sample_fields": \[[^\]]*\]/, ''),
    'a sign before a size': change(plain, '3, 3, 5, 32', '3, 3, 5, -32'),
    'a part that is new': change(plain, '"nodes"', '"comment": {"a": [1, 2]}, "nodes"'),
    "a page's listeners, detached elements, the console and two equal texts": page(JSON.parse(plain)),
    'native memory that only the header knows': change(plain, '"node_count"', '"extra_native_bytes": 77, "node_count"'),
  };
  return Object.entries(odd).map(([name, text], index) => {
    if (text === plain) throw new Error(`${name}: nothing was changed`);
    const written = path.join(directory, `odd-${index}.heapsnapshot`);
    fs.writeFileSync(written, text);
    return [name, written];
  });
}

// What Chrome writes and Node does not, for DevTools' filters: a listener of which the callback is an object with a function.
function page({ snapshot: { meta } }) {
  const nodes = [
    [9, '', 0], [3, 'Window', 99], [8, 'V8EventListener', 10], [3, 'EventListener', 20], [5, 'handleEvent', 30], [4, 'code', 40],
    [8, 'Detached <p>', 50], [3, 'Row', 60], [3, 'Logged', 70], [2, 'twice', 80], [2, 'twice', 90], [3, 'system / Context', 91],
    [3, 'Captured', 92], [8, 'V8EventListener', 93], [5, 'onclick', 94],
  ];
  const [ELEMENT, PROPERTY, INTERNAL, SHORTCUT] = [1, 2, 3, 5];
  const edges = [
    [0, SHORTCUT, 'Window', 1], [0, INTERNAL, '5 / DevTools console', 8], [1, PROPERTY, 'a', 2], [1, PROPERTY, 'b', 6], [1, PROPERTY, 'c', 9],
    [1, PROPERTY, 'd', 13], [2, ELEMENT, 1, 3], [3, PROPERTY, 'handleEvent', 4], [4, INTERNAL, 'code', 5], [4, INTERNAL, 'context', 11],
    [6, PROPERTY, 'row', 7], [7, PROPERTY, 'text', 10], [11, 0, 'captured', 12], [13, ELEMENT, 1, 14],
  ];
  const strings = [...new Set([...nodes, ...edges].flat().filter((value) => typeof value === 'string'))];
  const at = (value) => (typeof value === 'string' ? strings.indexOf(value) : value);
  const count = (ordinal) => edges.filter(([from]) => from === ordinal).length;
  return JSON.stringify({
    snapshot: { meta, node_count: nodes.length, edge_count: edges.length, trace_function_count: 0 },
    nodes: nodes.flatMap(([type, name, size], ordinal) => [type, at(name), 2 * ordinal + 1, size, count(ordinal), 0]),
    edges: edges.flatMap(([, type, name, to]) => [type, at(name), 6 * to]),
    trace_function_infos: [], trace_tree: [], samples: [], strings,
  });
}

function change(text, from, to) {
  if (!text.includes(from)) throw new Error(`there is no ${from}`);
  return text.replace(from, to);
}

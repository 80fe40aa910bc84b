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
    'native memory that only the header knows': change(plain, '"node_count"', '"extra_native_bytes": 77, "node_count"'),
  };
  return Object.entries(odd).map(([name, text], index) => {
    if (text === plain) throw new Error(`${name}: nothing was changed`);
    const written = path.join(directory, `odd-${index}.heapsnapshot`);
    fs.writeFileSync(written, text);
    return [name, written];
  });
}

function change(text, from, to) {
  if (!text.includes(from)) throw new Error(`there is no ${from}`);
  return text.replace(from, to);
}

// What is in a snapshot, for files that fit a JavaScript string: enough for a demonstration.

import { readFileSync } from 'node:fs';

/** `{nodes, edges, strings, classes}`; classes are rows `{name, count, self}`, largest self size first. */
export function readContents(file) {
  const { snapshot, nodes, strings, edges } = JSON.parse(readFileSync(file, 'utf8'));
  const { node_fields: fields, node_types: types } = snapshot.meta;
  const width = fields.length;
  const [type, name, self] = ['type', 'name', 'self_size'].map((field) => fields.indexOf(field));
  const objects = types[type].indexOf('object');
  const classes = new Map();
  for (let node = 0; node < nodes.length; node += width) {
    const label = nodes[node + type] === objects ? strings[nodes[node + name]] : `(${types[type][nodes[node + type]]})`;
    const row = classes.get(label) ?? { name: label, count: 0, self: 0 };
    row.count++;
    row.self += nodes[node + self];
    classes.set(label, row);
  }
  return {
    nodes: nodes.length / width,
    edges: edges.length / snapshot.meta.edge_fields.length,
    strings: strings.length,
    classes: [...classes.values()].sort((a, b) => b.self - a.self),
  };
}

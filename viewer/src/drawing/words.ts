// What a node of the tree is called.

import type { TreeNode } from '../../../lib/analyze.d.ts';
import { many, number, percent, size } from '../format.ts';

/** `sessions` in server.js, Session × 3,000. */
export function title(node: TreeNode): string {
  if (node.class === '(synthetic)') return 'The heap';
  if (node.name) return node.name.replaceAll('`', '');
  return node.count === 1 ? node.class : `${node.class} × ${number(node.count)}`;
}

export const amount = (value: number, measure: string) => (measure === 'objects' ? many(value, 'object') : size(value));

/** All about it, for a tip and for who cannot see the drawing. */
export function sentence(node: TreeNode, whole: number, measure: string): string {
  const what = node.name ? `${node.name.replaceAll('`', '')}, ${node.class}` : title(node);
  return `${what}: ${amount(node.size, measure)}, ${percent(node.size, whole)}; its own ${amount(node.own, measure)}`;
}

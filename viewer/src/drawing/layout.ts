// Where the nodes of a tree are drawn: as nested areas, or as rows below one another.

import { hierarchy, partition, treemap, treemapSquarify, type HierarchyRectangularNode } from 'd3-hierarchy';

import type { TreeNode } from '../../../lib/analyze.d.ts';

export interface Box {
  node: TreeNode;
  depth: number;
  x: number;
  y: number;
  width: number;
  height: number;
  /** The box that it is in; the root's is itself. */
  parent: Box | null;
  children: Box[];
}

export type Shape = 'treemap' | 'icicle';

/** Room for a name above what is within. */
export const TITLE = 17;
const LEAST = 3;
export const ROW = 24;

export function layout(root: TreeNode, shape: Shape, width: number, height: number): Box[] {
  // What a node has beyond its children is room that nothing is drawn in.
  const tree = hierarchy(root, (node) => node.children).sum((node) => node.size - sizes(node));
  const placed: HierarchyRectangularNode<TreeNode> =
    shape === 'treemap'
      ? treemap<TreeNode>()
          .tile(treemapSquarify.ratio(1.3))
          .size([width, height])
          .round(true)
          .paddingOuter((node) => (node.depth === 0 ? 0 : 3))
          .paddingTop((node) => (node.depth === 0 ? 0 : TITLE))
          .paddingInner(2)(tree)
      : partition<TreeNode>().size([width, (tree.height + 1) * ROW]).padding(1)(tree);
  const boxes: Box[] = [];
  const put = (at: HierarchyRectangularNode<TreeNode>, parent: Box | null): Box | null => {
    const box = { node: at.data, depth: at.depth, x: at.x0, y: at.y0, width: at.x1 - at.x0, height: at.y1 - at.y0, parent, children: [] as Box[] };
    if (box.width < LEAST || box.height < LEAST) return null;
    boxes.push(box);
    for (const child of at.children ?? []) {
      const placedChild = put(child, box);
      if (placedChild) box.children.push(placedChild);
    }
    return box;
  };
  put(placed, null);
  return boxes;
}

const sizes = (node: TreeNode) => (node.children ?? []).reduce((sum, child) => sum + child.size, 0);

/** How high a drawing is; rows that are too many are not drawn. */
export function heightOf(root: TreeNode, shape: Shape, width: number): number {
  if (shape === 'treemap') return Math.round(Math.min(Math.max(width * 0.52, 340), 620));
  return Math.min(depthOf(root), 26) * ROW;
}

const depthOf = (node: TreeNode): number => 1 + Math.max(0, ...(node.children ?? []).map(depthOf));

/** The innermost box at a point. */
export function boxAt(boxes: Box[], x: number, y: number): Box | null {
  let found: Box | null = null;
  for (const box of boxes) {
    if (x >= box.x && x < box.x + box.width && y >= box.y && y < box.y + box.height && (!found || box.depth >= found.depth)) found = box;
  }
  return found;
}

/** What lies in a direction from a box, as the arrow keys go. */
export function neighbour(box: Box, key: string): Box | null {
  const siblings = box.parent?.children ?? [box];
  const at = siblings.indexOf(box);
  if (key === 'ArrowRight') return siblings[at + 1] ?? null;
  if (key === 'ArrowLeft') return siblings[at - 1] ?? null;
  if (key === 'ArrowDown') return box.children[0] ?? null;
  return box.parent;
}

// The tree of a heap on one canvas. The mouse points and clicks; arrow keys walk, Enter goes in, Escape comes out.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';

import type { TreeNode } from '../../../lib/analyze.d.ts';
import { draw } from '../drawing/draw.ts';
import { type Box, type Shape, boxAt, heightOf, layout, neighbour } from '../drawing/layout.ts';
import { amount, sentence, title } from '../drawing/words.ts';
import { percent } from '../format.ts';
import { appState } from '../state.ts';

interface Props {
  root: TreeNode;
  shape: Shape;
  measure: string;
  /** The sum that shares are of. */
  whole: number;
  /** Goes to a node, given as the nodes on the way to it from the root. */
  onEnter(way: TreeNode[]): void;
  onLeave(): void;
}

export function HeapCanvas({ root, shape, measure, whole, onEnter, onLeave }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(canvas);
  const dark = useDark();
  const height = heightOf(root, shape, width);
  const boxes = useMemo(() => layout(root, shape, width, height), [root, shape, width, height]);
  const [marked, setMarked] = useState<Box | null>(null);
  const [tip, setTip] = useState<{ box: Box; x: number; y: number } | null>(null);

  useEffect(() => {
    setMarked(null);
    setTip(null);
  }, [boxes]);
  useLayoutEffect(() => {
    if (canvas.current) draw(canvas.current, boxes, width, height, { dark, measure, marked });
  }, [boxes, width, height, dark, measure, marked]);

  const point = (event: MouseEvent) => {
    const box = boxAt(boxes, event.offsetX, event.offsetY);
    setMarked(box);
    setTip(box && { box, x: event.offsetX, y: event.offsetY });
  };
  const enter = (box: Box | null) => {
    if (box?.parent) onEnter(wayTo(box));
  };
  const press = (event: KeyboardEvent) => {
    if (event.key === 'Enter') enter(marked);
    else if (event.key === 'Escape' || event.key === 'Backspace') onLeave();
    else if (event.key.startsWith('Arrow')) {
      const next = marked ? neighbour(marked, event.key) : (boxes[0]?.children[0] ?? boxes[0] ?? null);
      if (next) setMarked(next);
    } else return;
    event.preventDefault();
  };
  return (
    <div class="drawing" style={{ height: `${height}px` }}>
      <canvas
        ref={canvas}
        tabIndex={0}
        role="application"
        aria-roledescription={shape}
        aria-label={`The heap as a ${shape}. Arrow keys walk, Enter goes in, Escape comes out. The parts are listed below.`}
        aria-describedby="drawing-said"
        onMouseMove={point}
        onMouseLeave={() => (setMarked(null), setTip(null))}
        onClick={(event) => enter(boxAt(boxes, event.offsetX, event.offsetY))}
        onKeyDown={press}
        style={{ height: `${height}px` }}
      />
      <p id="drawing-said" class="unseen" aria-live="polite">{marked ? sentence(marked.node, whole, measure) : ''}</p>
      {tip && <Tip {...tip} width={width} whole={whole} measure={measure} />}
    </div>
  );
}

function Tip({ box, x, y, width, whole, measure }: { box: Box; x: number; y: number; width: number; whole: number; measure: string }) {
  const { node } = box;
  const side = x > width / 2 ? { right: `${width - x + 14}px` } : { left: `${x + 14}px` };
  return (
    <div class="tip" style={{ top: `${y + 14}px`, ...side }} aria-hidden="true">
      <strong>{title(node)}</strong>
      {node.name && <span>{node.class}</span>}
      <span>{amount(node.size, measure)}, {percent(node.size, whole)}</span>
      {node.children && <span>its own {amount(node.own, measure)}</span>}
    </div>
  );
}

function wayTo(box: Box): TreeNode[] {
  const way: TreeNode[] = [];
  for (let at: Box | null = box; at?.parent; at = at.parent) way.unshift(at.node);
  return way;
}

function useWidth(of: { current: HTMLElement | null }): number {
  const [width, setWidth] = useState(900);
  useLayoutEffect(() => {
    const element = of.current?.parentElement;
    if (!element) return;
    const measure = () => setWidth(Math.max(240, Math.floor(element.clientWidth)));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return width;
}

/** Whether it is drawn for a dark page, as the reader chose or the system says. */
export function useDark(): boolean {
  const { theme } = appState();
  const query = useMemo(() => matchMedia('(prefers-color-scheme: dark)'), []);
  const [system, setSystem] = useState(query.matches);
  useEffect(() => {
    const hear = () => setSystem(query.matches);
    query.addEventListener('change', hear);
    return () => query.removeEventListener('change', hear);
  }, [query]);
  return theme === 'auto' ? system : theme === 'dark';
}

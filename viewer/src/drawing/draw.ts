// Draws boxes on a canvas.

import { amount, title } from './words.ts';
import { paint } from './colours.ts';
import { type Box, TITLE } from './layout.ts';

export interface Look {
  dark: boolean;
  measure: string;
  /** The box that is pointed at or chosen by the keyboard. */
  marked: Box | null;
}

const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const BOLD = `600 ${FONT}`;

export function draw(canvas: HTMLCanvasElement, boxes: Box[], width: number, height: number, look: Look): void {
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext('2d');
  if (context === null) return;
  context.scale(ratio, ratio);
  context.textBaseline = 'middle';
  for (const box of boxes) drawBox(context, box, look);
  if (look.marked) mark(context, look.marked, look.dark);
}

function drawBox(context: CanvasRenderingContext2D, box: Box, look: Look): void {
  const { fill, text, line } = paint(box.node, box.depth, look.dark);
  context.fillStyle = fill;
  context.beginPath();
  context.roundRect(box.x, box.y, box.width, box.height, Math.min(3, box.height / 4));
  context.fill();
  if (box.width > 12 && box.height > 12) {
    context.strokeStyle = line;
    context.lineWidth = 0.75;
    context.stroke();
  }
  if (box.width < 34 || box.height < 13) return;
  const isOpen = box.children.length > 0 || box.height < 34;
  const middle = isOpen ? box.y + Math.min(TITLE, box.height) / 2 + 0.5 : box.y + 12;
  const room = box.width - 10;
  context.fillStyle = text;
  context.font = box.depth <= 1 ? BOLD : FONT;
  const name = fit(context, title(box.node), room);
  context.fillText(name, box.x + 5, middle);
  const used = context.measureText(name).width;
  const size = amount(box.node.size, look.measure);
  context.font = FONT;
  context.globalAlpha = 0.72;
  if (!isOpen && context.measureText(size).width < room) context.fillText(size, box.x + 5, middle + 15);
  else if (isOpen && used + 8 + context.measureText(size).width < room) context.fillText(size, box.x + 5 + used + 8, middle);
  context.globalAlpha = 1;
}

function mark(context: CanvasRenderingContext2D, box: Box, dark: boolean): void {
  context.strokeStyle = dark ? '#fff' : '#111';
  context.lineWidth = 2;
  context.beginPath();
  context.roundRect(box.x + 1, box.y + 1, box.width - 2, box.height - 2, 3);
  context.stroke();
}

/** A text, cut to a width; empty where less than three letters would stay. */
function fit(context: CanvasRenderingContext2D, text: string, width: number): string {
  if (context.measureText(text).width <= width) return text;
  let [low, high] = [0, Math.min(text.length, 200)];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (context.measureText(`${text.slice(0, middle)}…`).width <= width) low = middle;
    else high = middle - 1;
  }
  return low < 3 ? '' : `${text.slice(0, low)}…`;
}

// References, each of which unfolds to those of the object at its other end.

import { useState } from 'preact/hooks';

import type { ObjectRef, Reference, View } from '../../../lib/analyze.d.ts';
import { useAnswer } from '../ask.ts';
import { number, size } from '../format.ts';
import { appState } from '../state.ts';
import { ObjectName, Waiting } from './parts.tsx';

const LIMIT = 50;
const DEEPEST = 40;

interface Props {
  rows: Reference[];
  total: number;
  /** What is shown below a row: what it holds, or what holds it. Without it nothing is. */
  unfold?: 'page' | 'retainers';
  /** Where a row is ignored. */
  ignore?(object: ObjectRef): string;
  view?: View;
  depth?: number;
}

export function References({ rows, total, unfold, ignore, view, depth = 0 }: Props) {
  return (
    <ul class={depth === 0 ? 'references' : 'references below'}>
      {rows.map((row, index) => <Row key={index} row={row} unfold={unfold} ignore={ignore} view={view} depth={depth} />)}
      {rows.length === 0 && <li class="quiet">Nothing.</li>}
      {total > rows.length && <li class="quiet">{number(total - rows.length)} more</li>}
    </ul>
  );
}

function Row({ row, unfold, ignore, view, depth }: Omit<Props, 'rows' | 'total'> & { row: Reference }) {
  const { source, report } = appState();
  const [open, setOpen] = useState(false);
  const { object } = row;
  const known = source.live || report?.heap.objects.some((page) => page.object.id === object.id);
  const can = unfold && known && (depth ?? 0) < DEEPEST;
  return (
    <li>
      <span class="reference">
        {can
          ? <button type="button" class="fold" aria-expanded={open} onClick={() => setOpen(!open)}><span class="unseen">References of {object.name} @{object.id}</span></button>
          : <span class="fold" />}
        <span class="edge" title={row.type}>{row.name}</span>
        <ObjectName object={object} />
        <span class="sizes">{size(object.shallowSize)} <b>{size(object.retainedSize)}</b></span>
        {ignore && <a class="ignore" href={ignore(object)} title="Leave it out, with all that leads through it">ignore<span class="unseen"> @{object.id}</span></a>}
      </span>
      {open && unfold && <Below id={object.id} unfold={unfold} ignore={ignore} view={view} depth={(depth ?? 0) + 1} />}
    </li>
  );
}

function Below({ id, unfold, ignore, view, depth }: { id: number; unfold: 'page' | 'retainers' } & Omit<Props, 'rows' | 'total' | 'unfold'>) {
  const page = useAnswer('page', unfold === 'page' ? { id, limit: LIMIT } : null);
  const retainers = useAnswer('retainers', unfold === 'retainers' ? { id, limit: LIMIT, ...view } : null);
  const rows = unfold === 'page' ? page.value?.references : retainers.value;
  if (!rows) return <Waiting answer={unfold === 'page' ? page : retainers} />;
  const total = unfold === 'page' ? (page.value?.referenceCount ?? 0) : rows.length;
  return <References rows={rows} total={total} unfold={unfold} ignore={ignore} view={view} depth={depth} />;
}

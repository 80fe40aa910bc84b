// The tree of the heap, as a treemap or an icicle, and its parts as a list.

import { useMemo } from 'preact/hooks';

import type { TreeNode } from '../../../lib/analyze.d.ts';
import { useAnswer } from '../ask.ts';
import { HeapCanvas, useDark } from '../components/HeapCanvas.tsx';
import { Table } from '../components/Table.tsx';
import { Share, Title, Waiting, className } from '../components/parts.tsx';
import { legend, paintSort } from '../drawing/colours.ts';
import { amount, title } from '../drawing/words.ts';
import { number } from '../format.ts';
import { href } from '../route.ts';
import { appState, useReport } from '../state.ts';
import type { Shape } from '../drawing/layout.ts';

type Options = Record<string, string | undefined>;

export function TreePage() {
  const { route, source } = appState();
  const { by = 'dominators', measure = 'bytes', shape = 'treemap', of } = route.options;
  const turn = (part: Options) => href('tree', '', { ...route.options, within: undefined, ...part });
  return (
    <>
      <Title>{by === 'paths' ? 'The heap by shortest paths' : 'The heap by what keeps it alive'}</Title>
      <p class="lead">
        {by === 'paths'
          ? 'Each object is in the one that leads to it on the shortest way from the roots.'
          : 'Each object is in the one that alone keeps it alive: without that, it would be freed.'}{' '}
        Objects of one class at one place are one area; one that is large stands by itself.
      </p>
      <div class="choices">
        <Choice name="Shape" now={shape} of={[['treemap', 'Treemap'], ['icicle', 'Icicle']]} to={(shape) => href('tree', '', { ...route.options, shape })} />
        {source.live && (
          <>
            <Choice name="By" now={by} of={[['dominators', 'Dominators'], ['paths', 'Shortest paths']]} to={(by) => turn({ by })} />
            <Choice name="Measure" now={measure} of={[['bytes', 'Bytes'], ['objects', 'Objects']]} to={(measure) => turn({ measure })} />
          </>
        )}
      </div>
      <TreeView shape={shape as Shape} by={by} measure={measure} of={of} within={route.options.within ?? ''} />
    </>
  );
}

interface ChoiceProps {
  name: string;
  now: string;
  of: Array<[string, string]>;
  to(value: string): string;
}

const Choice = ({ name, now, of, to }: ChoiceProps) => (
  <div class="choice" role="group" aria-label={name}>
    {of.map(([value, words]) => <a key={value} href={to(value)} aria-current={value === now ? 'true' : undefined}>{words}</a>)}
  </div>
);

interface ViewProps {
  shape: Shape;
  by?: string;
  measure?: string;
  of?: string;
  within: string;
}

/** The drawing, the way to what it shows, and the list of its parts. */
export function TreeView({ shape, by = 'dominators', measure = 'bytes', of, within }: ViewProps) {
  const { source, route } = appState();
  const { heap } = useReport();
  const keys = within ? within.split(',') : [];
  const isWhole = by === 'dominators' && measure === 'bytes' && !of;
  const base = isWhole ? heap.tree : null;
  const ask = source.live && (keys.length > 0 || !isWhole);
  const answer = useAnswer('tree', ask ? { by: by as 'paths', measure: measure as 'bytes', of: of ?? null, within: keys } : null);
  const top = useAnswer('tree', source.live && !isWhole ? { by: by as 'paths', measure: measure as 'bytes', of: of ?? null, within: [] } : null);
  const whole = base ?? top.value;
  const known = useMemo(() => (whole ? follow(whole, keys) : []), [whole, within]);
  // What is known is shown while more of it is on its way.
  const root = (ask ? answer.value : null) ?? known.at(-1) ?? null;
  const go = (way: string[]) => href('tree', '', { ...(route.page === 'tree' ? route.options : {}), shape, within: way.join(',') });
  if (!root || !whole) return <Waiting answer={answer.error ? answer : top} />;
  const children = root.children ?? [];
  return (
    <div class="tree">
      <nav class="crumbs" aria-label="Where in the heap">
        <a href={go([])}>The heap</a>
        {keys.map((key, index) => (
          <a key={key} href={go(keys.slice(0, index + 1))} aria-current={index === keys.length - 1 ? 'true' : undefined}>
            {known[index + 1] ? title(known[index + 1]!) : index === keys.length - 1 ? title(root) : key}
          </a>
        ))}
      </nav>
      <HeapCanvas
        root={root}
        shape={shape}
        measure={measure}
        whole={whole.size}
        onEnter={(way) => {
          const open = way.findLastIndex((node) => source.live ? node.count > 0 && (node.children || node.own < node.size) : node.children);
          if (open >= 0) location.hash = go([...keys, ...way.slice(0, open + 1).map(({ key }) => key)]);
          else if (way.at(-1)) openObject(way.at(-1)!, source.live || heap.objects.some(({ object }) => object.id === way.at(-1)!.id));
        }}
        onLeave={() => (location.hash = go(keys.slice(0, -1)))}
      />
      <Legend />
      <Table<TreeNode>
        name="Parts of what is shown"
        rows={children}
        textOf={title}
        first={12}
        columns={[
          {
            title: 'Part', by: title, cell: (node) => (
              node.children || source.live
                ? <a href={go([...keys, node.key])}>{node.name ? <span class="variable">{title(node)}</span> : className(node.class)}</a>
                : <>{node.name ? <span class="variable">{title(node)}</span> : className(node.class)}</>
            ),
          },
          { title: 'Class', isExtra: true, by: (node) => node.class, cell: (node) => className(node.class) },
          { title: 'Objects', isNumber: true, by: (node) => node.count, cell: (node) => number(node.count) },
          { title: 'Own', isNumber: true, isExtra: true, by: (node) => node.own, cell: (node) => amount(node.own, measure) },
          { title: 'With all below', isNumber: true, by: (node) => node.size, cell: (node) => amount(node.size, measure) },
          { title: 'Share', isNumber: true, by: (node) => node.size, cell: (node) => <Share part={node.size} whole={whole.size} /> },
          { title: 'Largest', isExtra: true, cell: (node) => <Largest node={node} /> },
        ]}
      />
    </div>
  );
}

function Largest({ node }: { node: TreeNode }) {
  const { source } = appState();
  const { heap } = useReport();
  const known = source.live || heap.objects.some(({ object }) => object.id === node.id);
  return known ? <a class="id" href={href('object', String(node.id))}>@{node.id}</a> : <span class="id">@{node.id}</span>;
}

const openObject = (node: TreeNode, known: boolean) => {
  if (known) location.hash = href('object', String(node.id));
};

/** The nodes on a way from the root, as far as it is known. */
function follow(root: TreeNode, keys: string[]): TreeNode[] {
  const way = [root];
  for (const key of keys) {
    const next = way.at(-1)!.children?.find((child) => child.key === key);
    if (!next) break;
    way.push(next);
  }
  return way.length === keys.length + 1 ? way : way.slice(0, Math.max(1, way.length));
}

function Legend() {
  const dark = useDark();
  return (
    <ul class="legend" aria-label="Colours">
      {legend.map(({ sort, words }) => (
        <li key={sort}><span style={{ background: paintSort(sort, 2, dark).fill }} aria-hidden="true" />{words}</li>
      ))}
    </ul>
  );
}

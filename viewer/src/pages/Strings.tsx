// Texts that are in memory more than once.

import type { StringsReport } from '../../../lib/analyze.d.ts';
import { Table } from '../components/Table.tsx';
import { Title } from '../components/parts.tsx';
import { many, number, size } from '../format.ts';
import { href } from '../route.ts';
import { appState, useReport } from '../state.ts';

type Row = StringsReport['strings'][number];

export function StringsPage() {
  const { heap } = useReport();
  return (
    <>
      <Title>Duplicate strings</Title>
      <p class="lead">
        {many(heap.strings.duplicates, 'text')} in memory more than once; one string of each would save {size(heap.strings.wastedSize)}.
      </p>
      <StringTable />
    </>
  );
}

export function StringTable({ limit }: { limit?: number }) {
  const { source } = appState();
  const { heap, values } = useReport();
  const example = (row: Row) => (source.live ? <a class="id" href={href('object', String(row.exampleId))}>@{row.exampleId}</a> : <span class="id">@{row.exampleId}</span>);
  return (
    <Table<Row>
      name="Duplicate strings"
      rows={heap.strings.strings.slice(0, limit)}
      textOf={limit ? undefined : (row) => row.text}
      sortedBy="Wasted"
      columns={[
        { title: 'Text', by: (row) => row.text, cell: (row) => <span class={values ? 'text' : 'quiet'}>{row.text}</span> },
        { title: 'Strings', isNumber: true, by: (row) => row.count, cell: (row) => number(row.count) },
        { title: 'Shallow', isNumber: true, isExtra: true, by: (row) => row.shallowSize, cell: (row) => size(row.shallowSize) },
        { title: 'Wasted', isNumber: true, by: (row) => row.wastedSize, cell: (row) => size(row.wastedSize) },
        { title: 'One of them', isExtra: true, cell: example },
      ]}
    />
  );
}

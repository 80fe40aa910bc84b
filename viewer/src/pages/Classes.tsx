// The heap, class by class.

import type { SummaryReport } from '../../../lib/analyze.d.ts';
import { useAnswer } from '../ask.ts';
import { Table } from '../components/Table.tsx';
import { ClassName, Share, Title } from '../components/parts.tsx';
import { many, number, size } from '../format.ts';
import { appState, useReport } from '../state.ts';

type Row = SummaryReport['classes'][number];

export function ClassesPage() {
  const { source } = appState();
  const { heap } = useReport();
  const answer = useAnswer('summary', source.live ? { limit: 0 } : null);
  const rows = answer.value?.classes ?? heap.summary.classes;
  return (
    <>
      <Title>{many(heap.summary.classCount, 'class', 'classes')}</Title>
      {rows.length < heap.summary.classCount && !source.live && <p class="lead">The report has the {number(rows.length)} that keep most alive.</p>}
      <ClassTable rows={rows} />
    </>
  );
}

export function ClassTable({ rows, limit }: { rows?: Row[]; limit?: number }) {
  const { heap } = useReport();
  const { totalSize } = heap.summary;
  return (
    <Table<Row>
      name="Classes"
      rows={(rows ?? heap.summary.classes).slice(0, limit)}
      textOf={limit ? undefined : (row) => row.name}
      sortedBy="Retained"
      columns={[
        { title: 'Class', by: (row) => row.name, cell: (row) => <ClassName name={row.name} /> },
        { title: 'Objects', isNumber: true, by: (row) => row.count, cell: (row) => number(row.count) },
        { title: 'Shallow', isNumber: true, by: (row) => row.shallowSize, cell: (row) => size(row.shallowSize) },
        { title: 'Retained', isNumber: true, by: (row) => row.retainedSize, cell: (row) => size(row.retainedSize) },
        { title: 'Share', isNumber: true, isExtra: true, by: (row) => row.retainedSize, cell: (row) => <Share part={row.retainedSize} whole={totalSize} /> },
      ]}
    />
  );
}

// What changed from another snapshot to the last, class by class.

import type { CompareReport } from '../../../lib/analyze.d.ts';
import { useAnswer } from '../ask.ts';
import { Table } from '../components/Table.tsx';
import { ClassName, Title, Waiting } from '../components/parts.tsx';
import { baseName, delta, number, signed, size } from '../format.ts';
import { href } from '../route.ts';
import { appState, useReport } from '../state.ts';

type Row = CompareReport['classes'][number];

export function ComparePage() {
  const { route } = appState();
  const { files } = useReport();
  const base = Math.min(Number(route.options.base ?? 0) || 0, files.length - 2);
  const answer = useAnswer('compare', { with: base, limit: 0 });
  const report = answer.value;
  return (
    <>
      <Title>What changed since {baseName(files[base] ?? '')}</Title>
      {files.length > 2 && (
        <p class="choices">
          {files.slice(0, -1).map((file, index) => <a key={file} href={href('compare', '', { base: String(index) })} aria-current={index === base ? 'true' : undefined}>{baseName(file)}</a>)}
        </p>
      )}
      {report ? <Changes report={report} /> : <Waiting answer={answer} />}
    </>
  );
}

function Changes({ report }: { report: CompareReport }) {
  const unknown = (value: number | null) => (value === null ? '?' : number(value));
  return (
    <>
      <p class="lead">{size(report.baseSize)} before, {size(report.targetSize)} now: {delta(report.targetSize - report.baseSize)}.{!report.matchedById && ' Ids of the two do not agree: classes are compared, not objects.'}</p>
      <Table<Row>
        name="Classes that changed"
        rows={report.classes}
        textOf={(row) => row.name}
        sortedBy="Retained"
        columns={[
          { title: 'Class', by: (row) => row.name, cell: (row) => <ClassName name={row.name} /> },
          { title: 'Added', isNumber: true, isExtra: true, by: (row) => row.added ?? 0, cell: (row) => unknown(row.added) },
          { title: 'Removed', isNumber: true, isExtra: true, by: (row) => row.removed ?? 0, cell: (row) => unknown(row.removed) },
          { title: 'Objects', isNumber: true, by: (row) => row.countDelta, cell: (row) => signed(row.countDelta) },
          { title: 'Shallow', isNumber: true, by: (row) => row.sizeDelta, cell: (row) => delta(row.sizeDelta) },
          { title: 'Retained', isNumber: true, by: (row) => row.retainedDelta, cell: (row) => delta(row.retainedDelta) },
        ]}
      />
    </>
  );
}

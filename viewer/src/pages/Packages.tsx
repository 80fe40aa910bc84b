// Whose code made and holds what.

import type { SharesReport } from '../../../lib/analyze.d.ts';
import { Table } from '../components/Table.tsx';
import { Share, Title } from '../components/parts.tsx';
import { number, size } from '../format.ts';
import { useReport } from '../state.ts';

type Row = SharesReport['shares'][number];

export function PackagesPage() {
  return (
    <>
      <Title>Packages</Title>
      <p class="lead">Each byte belongs to one: to the script that it has a place in, or that of the nearest object that keeps it alive.</p>
      <PackageTable />
    </>
  );
}

export function PackageTable({ limit }: { limit?: number }) {
  const { heap } = useReport();
  const { shares, totalSize } = heap.packages;
  return (
    <Table<Row>
      name="Packages"
      rows={shares.slice(0, limit)}
      textOf={limit ? undefined : (row) => row.package}
      sortedBy="Own"
      columns={[
        { title: 'Package', by: (row) => row.package, cell: (row) => <>{row.package} <span class="quiet">{row.version}</span></> },
        { title: 'Objects', isNumber: true, by: (row) => row.count, cell: (row) => number(row.count) },
        { title: 'Own', isNumber: true, by: (row) => row.shallowSize, cell: (row) => size(row.shallowSize) },
        { title: 'Retained', isNumber: true, by: (row) => row.retainedSize ?? -1, cell: (row) => (row.retainedSize === null ? '–' : size(row.retainedSize)) },
        { title: 'Share', isNumber: true, isExtra: true, by: (row) => row.shallowSize, cell: (row) => <Share part={row.shallowSize} whole={totalSize} /> },
      ]}
    />
  );
}

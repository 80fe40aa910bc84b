// A table that sorts by its headers, filters by a text, and shows a hundred rows at a time.

import type { ComponentChildren } from 'preact';
import { useMemo, useState } from 'preact/hooks';

import { number } from '../format.ts';

export interface Column<Row> {
  title: string;
  /** What is shown. */
  cell(row: Row): ComponentChildren;
  /** What it is sorted by; without one it is not. */
  by?(row: Row): number | string;
  /** Numbers stand on the right. */
  isNumber?: boolean;
  /** Left out where there is little room. */
  isExtra?: boolean;
}

interface Props<Row> {
  name: string;
  rows: Row[];
  columns: Array<Column<Row>>;
  /** The text that a filter looks in; without one there is no filter. */
  textOf?(row: Row): string;
  /** How many rows at first. */
  first?: number;
  /** The column that it is sorted by at first, the largest first; without one it is as it comes. */
  sortedBy?: string;
}

export function Table<Row>({ name, rows, columns, textOf, first = 100, sortedBy }: Props<Row>) {
  const [filter, setFilter] = useState('');
  const [limit, setLimit] = useState(first);
  const [order, setOrder] = useState<{ title: string; down: boolean } | null>(sortedBy ? { title: sortedBy, down: true } : null);
  const shown = useMemo(() => {
    const wanted = filter.toLowerCase();
    const kept = textOf && wanted ? rows.filter((row) => textOf(row).toLowerCase().includes(wanted)) : [...rows];
    const by = columns.find(({ title }) => title === order?.title)?.by;
    if (by && order) kept.sort((a, b) => compare(by(a), by(b)) * (order.down ? -1 : 1));
    return kept;
  }, [rows, filter, order]);
  const turn = ({ title, isNumber }: Column<Row>) =>
    setOrder((last) => ({ title, down: last?.title === title ? !last.down : Boolean(isNumber) }));
  return (
    <div class="table">
      {textOf && rows.length > 8 && (
        <div class="filter">
          <input
            type="search"
            placeholder="Filter"
            aria-label={`Filter ${name}`}
            value={filter}
            onInput={({ currentTarget }) => setFilter(currentTarget.value)}
          />
          <span aria-live="polite">{filter && `${number(shown.length)} of ${number(rows.length)}`}</span>
        </div>
      )}
      <div class="scroll" tabIndex={0} role="region" aria-label={name}>
        <table>
          <caption class="unseen">{name}</caption>
          <thead>
            <tr>
              {columns.map((column) => (
                <th key={column.title} scope="col" class={kind(column)} aria-sort={sorted(column.title, order)}>
                  {column.by ? <button type="button" onClick={() => turn(column)}>{column.title}</button> : column.title}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.slice(0, limit).map((row, index) => (
              <tr key={index}>{columns.map((column) => <td key={column.title} class={kind(column)}>{column.cell(row)}</td>)}</tr>
            ))}
          </tbody>
        </table>
      </div>
      {shown.length === 0 && <p class="quiet">Nothing.</p>}
      {shown.length > limit && (
        <button type="button" class="more" onClick={() => setLimit(limit + 100)}>
          {number(Math.min(100, shown.length - limit))} more of {number(shown.length - limit)}
        </button>
      )}
    </div>
  );
}

const kind = ({ isNumber, isExtra }: { isNumber?: boolean; isExtra?: boolean }) =>
  [isNumber && 'number', isExtra && 'extra'].filter(Boolean).join(' ') || undefined;

function sorted(title: string, order: { title: string; down: boolean } | null): 'ascending' | 'descending' | undefined {
  if (order?.title !== title) return undefined;
  return order.down ? 'descending' : 'ascending';
}

function compare(a: number | string, b: number | string): number {
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0;
  return Number(a) - Number(b);
}

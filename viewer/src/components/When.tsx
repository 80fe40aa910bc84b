// Why and when the snapshot was taken, as the JSON beside it says.

import { baseName, size } from '../format.ts';
import { useReport } from '../state.ts';

type Told = Record<string, unknown>;

const WHY: Record<string, string> = {
  used: 'the used heap was over its limit',
  external: 'memory outside of the heap was over its limit',
  rss: 'resident memory was over its limit',
  cgroup: "the container's memory was over its limit",
  growth: 'memory grew',
  schedule: 'it was time',
  oom: "the heap was at V8's limit",
};

export function When() {
  const { records, files, heap } = useReport();
  const record = records.at(-1);
  const rows: Array<[string, string]> = record ? tell(record) : [];
  rows.push(['Objects', `${heap.summary.nodes.toLocaleString('en-US')} with ${heap.summary.edges.toLocaleString('en-US')} references`]);
  rows.push([files.length > 1 ? 'Files' : 'File', files.map(baseName).join(', ')]);
  return (
    <dl class="facts">
      {rows.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
    </dl>
  );
}

function tell(record: Told): Array<[string, string]> {
  const memory = (typeof record.memory === 'object' && record.memory !== null ? record.memory : {}) as Told;
  const text = (value: unknown) => (typeof value === 'string' || typeof value === 'number' ? String(value) : '');
  const bytes = (value: unknown) => (typeof value === 'number' && value > 0 ? size(value) : '');
  const of = (value: unknown, limit: unknown) => [bytes(value), bytes(limit)].filter(Boolean).join(' of ');
  const { value, limit } = (typeof record.threshold === 'object' && record.threshold !== null ? record.threshold : {}) as Told;
  const threshold = record.reason !== 'growth' && of(value, limit) ? `: ${of(value, limit)}` : '';
  const reason = text(record.reason);
  const rows: Array<[string, string]> = [
    ['Taken', text(record.time)],
    ['Why', reason && `${WHY[reason] ?? reason}${threshold}`],
    ['Program', text(record.program)],
    ['Process', [text(record.pid) && `pid ${text(record.pid)}`, text(record.host), text(record.node) && `Node.js ${text(record.node)}`].filter(Boolean).join(', ')],
    ['Used heap', of(memory.heapUsed, memory.heapLimit)],
    ['Resident memory', bytes(memory.rss)],
    ['Outside of the heap', bytes(memory.external)],
    ['Container', of(memory.cgroupUsed, memory.cgroupLimit)],
  ];
  const spaces = Array.isArray(record.heapSpaces) ? (record.heapSpaces as Told[]) : [];
  rows.push(['Heap spaces', spaces.filter((space) => bytes(space.used)).map((space) => `${text(space.name).replace(/_space$/, '').replaceAll('_', ' ')} ${bytes(space.used)}`).join(', ')]);
  return rows.filter(([, value]) => value);
}

// What grew over several snapshots, and what leaks.

import type { LeaksReport, TrendReport } from '../../../lib/analyze.d.ts';
import { Chart } from '../components/Chart.tsx';
import { Table } from '../components/Table.tsx';
import { ClassName, ObjectName, Place, Section, Title, Way, Words } from '../components/parts.tsx';
import { baseName, clock, delta, many, number, size } from '../format.ts';
import { useReport } from '../state.ts';

type Group = TrendReport['groups'][number];
type Leak = LeaksReport['suspects'][number];

export function GrowthPage() {
  const { trend, leaks } = useReport();
  if (!trend) return <Title>There is one snapshot: nothing to compare it with</Title>;
  return (
    <>
      <Title>Growth over {many(trend.snapshots.length, 'snapshot')}</Title>
      <Section title="The whole heap"><GrowthChart trend={trend} /></Section>
      {leaks && (
        <Section title={leaks.suspects.length > 0 ? 'What leaks' : 'No leak found'} copy={() => leaks.suspects.map(({ sentence }) => sentence).join('\n\n')}>
          {!leaks.matchedById && <p class="quiet">Ids of these snapshots do not agree: classes are compared, not objects.</p>}
          <LeakList leaks={leaks} />
        </Section>
      )}
      <Section title="What grew"><Groups trend={trend} /></Section>
    </>
  );
}

export function GrowthChart({ trend }: { trend: TrendReport }) {
  const { growth, snapshots } = trend;
  const rates = [`${delta(growth.perStep)} a step`, growth.perHour !== null && `${delta(growth.perHour)} an hour`, growth.perUnit !== null && `${delta(growth.perUnit)} a unit of work`];
  return (
    <div class="growth">
      <p><b>{delta(growth.total)}</b>: {rates.filter(Boolean).join(', ')}</p>
      <Chart large name="The heap" values={snapshots.map(({ totalSize }) => totalSize)} times={snapshots.map(({ time }) => time)} />
      <ol class="snapshots">
        {snapshots.map(({ file, time, totalSize }) => <li key={file}><b>{size(totalSize)}</b> {time !== null && clock(time)} <span class="quiet">{baseName(file)}</span></li>)}
      </ol>
    </div>
  );
}

export function LeakList({ leaks, limit = Infinity }: { leaks: LeaksReport; limit?: number }) {
  return <ol class="cards">{leaks.suspects.slice(0, limit).map((leak, index) => <li key={index}><LeakCard leak={leak} /></li>)}</ol>;
}

function LeakCard({ leak }: { leak: Leak }) {
  const sizes = leak.container?.retainedSizes ?? leak.retainedSizes;
  return (
    <article>
      <h3><span><Words text={leak.what} /></span> <Chart name={leak.what} values={sizes} /></h3>
      {leak.held && <p><Words text={leak.held} /></p>}
      <Way path={leak.path} />
      <p class="quiet">
        for example <ObjectName object={leak.example} />{leak.location && <>, made at <Place place={leak.location} /></>}
      </p>
      {leak.functions.length > 0 && (
        <ul class="functions">
          {leak.functions.slice(0, 5).map(({ name, place, count }, index) => (
            <li key={index}>{name ? `${name}()` : '(anonymous function)'} <Place place={place} /> <span class="quiet">{number(count)} times</span></li>
          ))}
        </ul>
      )}
      <p class="advice">{leak.advice}</p>
    </article>
  );
}

function Groups({ trend }: { trend: TrendReport }) {
  const times = trend.snapshots.map(({ time }) => time);
  return (
    <Table<Group>
      name="What grew"
      rows={trend.groups}
      textOf={(group) => `${group.class} ${group.heldBy ?? ''} ${group.path.text}`}
      columns={[
        { title: 'What', by: (group) => group.class, cell: (group) => <><ClassName name={group.class} /> {group.container ? <span class="quiet">{group.container.replaceAll('`', '')}</span> : group.heldBy && <span class="quiet">held by {group.heldBy}</span>}</> },
        { title: 'Over time', cell: (group) => <Chart name={group.class} values={group.retainedSizes} times={times} /> },
        { title: 'Objects', isNumber: true, by: (group) => group.counts.at(-1) ?? 0, cell: (group) => number(group.counts.at(-1) ?? 0) },
        { title: 'Growth', isNumber: true, by: (group) => group.growth.total, cell: (group) => delta(group.growth.total) },
        { title: 'In every step', isExtra: true, by: (group) => Number(group.everyStep), cell: (group) => (group.everyStep ? 'yes' : 'no') },
        { title: 'Held by', isExtra: true, cell: (group) => <span class="way small">{group.path.text}</span> },
      ]}
    />
  );
}

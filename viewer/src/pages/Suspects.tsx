// What looks like a leak, in words, with the way to it.

import type { HeapReport, ObjectRef, PathReport, SourcePlace, SuspectsReport } from '../../../lib/analyze.d.ts';
import { ClassName, ObjectName, Place, Section, Share, Title, Way, Words } from '../components/parts.tsx';
import { many, number, percent, size } from '../format.ts';
import { useReport } from '../state.ts';

type Suspect = SuspectsReport['suspects'][number];

/** What stands out besides, where the analyzer looks for it. */
interface Inspection {
  what: string;
  bytes: number;
  advice: string;
  example: ObjectRef;
  path: PathReport;
  location: SourcePlace | null;
}

const inspectionsOf = ({ suspects }: HeapReport) => (suspects as { inspections?: Inspection[] }).inspections ?? [];

export function SuspectsPage() {
  const { heap } = useReport();
  return (
    <>
      <Title>Suspects</Title>
      <p class="lead">Objects and classes that keep a tenth of the heap alive, or more, and the place below them where it gathers.</p>
      <Section title={many(heap.suspects.suspects.length, 'suspect')} copy={() => suspectsAsText(heap)}>
        <SuspectList />
      </Section>
      {inspectionsOf(heap).length > 0 && <Section title="What stands out besides"><InspectionList /></Section>}
    </>
  );
}

export function InspectionList({ limit = Infinity }: { limit?: number }) {
  const { heap } = useReport();
  return (
    <ol class="cards">
      {inspectionsOf(heap).slice(0, limit).map(({ what, advice, example, path, location }, index) => (
        <li key={index}>
          <article>
            <h3><span><Words text={what} /></span></h3>
            <p>for example <ObjectName object={example} />{location && <>, made at <Place place={location} /></>}</p>
            <Way path={path} />
            <p class="advice">{advice}</p>
          </article>
        </li>
      ))}
    </ol>
  );
}

export function SuspectList({ limit = Infinity }: { limit?: number }) {
  const { heap } = useReport();
  const { suspects, totalSize } = heap.suspects;
  if (suspects.length === 0) return <p class="quiet">Nothing keeps a tenth of the heap alive by itself.</p>;
  return (
    <ol class="cards">
      {suspects.slice(0, limit).map((suspect, index) => (
        <li key={index}><SuspectCard suspect={suspect} totalSize={totalSize} /></li>
      ))}
    </ol>
  );
}

function SuspectCard({ suspect, totalSize }: { suspect: Suspect; totalSize: number }) {
  const { heap } = useReport();
  const { object, accumulationPoint: point, count, retainedSize, path } = suspect;
  const place = heap.objects.find((page) => page.object.id === (point ?? object).id)?.location ?? null;
  const below = point && point.id !== object.id ? point : null;
  const advice = (suspect as { advice?: string }).advice;
  return (
    <article>
      <h3>
        {size(retainedSize)} <Share part={retainedSize} whole={totalSize} />
      </h3>
      <p>
        {count === 1 ? <ObjectName object={object} /> : <>{number(count)} <ClassName name={suspect.class} /> objects; the largest is <ObjectName object={object} /></>}
        {below && <>; most of it gathers in <ObjectName object={below} /> ({size(below.retainedSize)})</>}
      </p>
      <Way path={path} />
      {place && <p class="quiet">made at <Place place={place} /></p>}
      {advice && <p class="advice">{advice}</p>}
    </article>
  );
}

export function suspectsAsText({ suspects: { suspects, totalSize } }: HeapReport): string {
  return suspects
    .map(({ class: of, count, retainedSize, object, path }) => {
      const what = count === 1 ? `${of} @${object.id}` : `${number(count)} ${of}`;
      return `${what}: ${size(retainedSize)} (${percent(retainedSize, totalSize)})\n  held by ${path.text}`;
    })
    .join('\n');
}

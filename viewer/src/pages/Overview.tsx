// The first page: what matters most, on one sheet that can be printed.

import { Section, Title } from '../components/parts.tsx';
import { href } from '../route.ts';
import { useReport } from '../state.ts';
import { ClassTable } from './Classes.tsx';
import { Composition } from '../components/Composition.tsx';
import { GrowthChart, LeakList } from './Growth.tsx';
import { ObjectTable } from './Objects.tsx';
import { PackageTable } from './Packages.tsx';
import { StringTable } from './Strings.tsx';
import { InspectionList, SuspectList, suspectsAsText } from './Suspects.tsx';
import { TreeView } from './Tree.tsx';
import { When } from '../components/When.tsx';

export function Overview() {
  const { headline, heap, trend, leaks } = useReport();
  return (
    <>
      <Title>{headline}</Title>
      {heap.summary.missing.map((text) => <p key={text} class="problem">{text}</p>)}
      <When />
      {trend && (
        <Section title="Growth" all={href('growth')}>
          <GrowthChart trend={trend} />
          {leaks && <LeakList leaks={leaks} limit={3} />}
        </Section>
      )}
      <Section title="What the heap is made of">
        <Composition statistics={heap.statistics} />
      </Section>
      <Section title="What keeps it alive" all={href('tree')}>
        <TreeView shape="treemap" within="" />
      </Section>
      <Section title="Suspects" all={href('suspects')} copy={() => suspectsAsText(heap)}>
        <SuspectList limit={5} />
        <InspectionList limit={3} />
      </Section>
      <Section title="Largest objects" all={href('objects')}>
        <ObjectTable limit={10} />
      </Section>
      <Section title="Classes" all={href('classes')}>
        <ClassTable limit={12} />
      </Section>
      {heap.packages.shares.length > 1 && (
        <Section title="Packages" all={href('packages')}>
          <PackageTable limit={10} />
        </Section>
      )}
      {heap.strings.strings.length > 0 && (
        <Section title="Duplicate strings" all={href('strings')}>
          <StringTable limit={8} />
        </Section>
      )}
    </>
  );
}

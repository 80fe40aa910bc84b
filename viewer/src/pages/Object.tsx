// One object: what it is, what holds it, what it holds, what it alone keeps alive.

import { useState } from 'preact/hooks';

import type { ObjectPage as Page, ObjectRef, Reference, TreeNode } from '../../../lib/analyze.d.ts';
import { useAnswer } from '../ask.ts';
import { References } from '../components/References.tsx';
import { Table } from '../components/Table.tsx';
import { ClassName, ObjectName, Place, Section, Share, Title, Waiting, Way, label } from '../components/parts.tsx';
import { many, number, size } from '../format.ts';
import { href } from '../route.ts';
import { appState, useReport } from '../state.ts';
import { Freed, distance } from './Objects.tsx';

const FIRST = 60;

export function ObjectPage() {
  const { route } = appState();
  const id = Number(route.of.replace(/^@/, ''));
  return <One key={id} id={id} />;
}

function One({ id }: { id: number }) {
  const [limit, setLimit] = useState(FIRST);
  const answer = useAnswer('page', Number.isSafeInteger(id) ? { id, limit } : null);
  const page = answer.value;
  if (!page) return <><Title>Object @{id}</Title><Waiting answer={answer} /></>;
  return <Known page={page} more={page.references.length < page.referenceCount ? () => setLimit(limit * 4) : null} />;
}

function Known({ page, more }: { page: Page; more: (() => void) | null }) {
  const { source } = appState();
  const { heap } = useReport();
  const { object, named, location, dominator, path } = page;
  return (
    <>
      <Title><span class="name">{label(object)}</span> <span class="id">@{object.id}</span></Title>
      {named && <p class="lead variable">{named.replaceAll('`', '')}</p>}
      <dl class="facts">
        <div><dt>Keeps alive</dt><dd>{size(object.retainedSize)} <Share part={object.retainedSize} whole={heap.summary.totalSize} /></dd></div>
        <div><dt>Its own</dt><dd>{size(object.shallowSize)}</dd></div>
        <div><dt>Class</dt><dd><ClassName name={object.class} /></dd></div>
        <div><dt>Kind</dt><dd>{object.type}</dd></div>
        <div><dt>Distance</dt><dd>{distance(object.distance)}</dd></div>
        {location && <div><dt>{object.type === 'closure' ? 'Defined at' : 'Made at'}</dt><dd><Place place={location} /></dd></div>}
        <div><dt>Kept alive by</dt><dd><ObjectName object={dominator} /> alone</dd></div>
      </dl>
      {source.live && <Freed of={`@${object.id}`} />}
      {source.live && <p><a href={href('tree', '', { of: String(object.id) })}>Its part of the heap as a treemap</a></p>}
      <Section title="The way to it" copy={() => pathAsText(page)}>
        <Way path={path} />
        <PathSteps steps={path.steps} leftOut={path.leftOut ?? 0} />
      </Section>
      <Section title={`Held by ${many(page.retainerCount, 'reference')}`}>
        {source.live ? <Retainers id={object.id} /> : <References rows={page.retainers} total={page.retainerCount} />}
      </Section>
      <Section title={`Holds ${many(page.referenceCount, 'reference')}`}>
        <References rows={page.references} total={page.referenceCount} unfold="page" />
        {more && source.live && <button type="button" class="more" onClick={more}>More of them</button>}
      </Section>
      {page.keeps.length > 0 && (
        <Section title="What it alone keeps alive">
          <Table<TreeNode>
            name="What it alone keeps alive"
            rows={page.keeps}
            columns={[
              { title: 'Class', by: (row) => row.class, cell: (row) => <ClassName name={row.class} /> },
              { title: 'Objects', isNumber: true, by: (row) => row.count, cell: (row) => number(row.count) },
              { title: 'With all below', isNumber: true, by: (row) => row.size, cell: (row) => size(row.size) },
              { title: 'Share', isNumber: true, by: (row) => row.size, cell: (row) => <Share part={row.size} whole={object.retainedSize} /> },
            ]}
          />
        </Section>
      )}
      {page.allocatedBy && (
        <Section title="Allocated by">
          <ol class="steps">
            {page.allocatedBy.map((frame, index) => <li key={index}>{frame.function || '(anonymous function)'} <code class="place">{`${frame.script}:${frame.line}:${frame.column}`}</code></li>)}
          </ol>
        </Section>
      )}
    </>
  );
}

/** What holds it, not through what is ignored: DevTools' "Ignore this retainer". */
function Retainers({ id }: { id: number }) {
  const { route } = appState();
  const ignored = (route.options.ignore ?? '').split(',').filter(Boolean);
  const jsOnly = route.options.js === '1';
  const view = { id, limit: 100, ignore: ignored, jsOnly };
  const answer = useAnswer('retainers', view);
  const path = useAnswer('path', ignored.length > 0 ? { id, ignore: ignored, jsOnly, limit: 1 } : null);
  const to = (ignore: string[], js = jsOnly) => href('object', String(id), { ignore: ignore.join(','), js: js ? '1' : undefined });
  return (
    <>
      <p class="choices">
        <a href={to(ignored, !jsOnly)}>{jsOnly ? 'Show what V8 keeps between, too' : 'Only objects and functions'}</a>
        {ignored.length > 0 && <a href={to([])}>Ignore none of {ignored.map((one) => `@${one}`).join(', ')}</a>}
      </p>
      {path.value && (path.value.steps.length > 0 ? <Way path={path.value} /> : <p class="answer">Nothing else leads to it from a root.</p>)}
      {answer.value ? (
        <References
          rows={answer.value}
          total={answer.value.length}
          unfold="retainers"
          ignore={(object: ObjectRef) => to([...ignored, String(object.id)])}
          view={{ ignore: ignored, jsOnly }}
        />
      ) : <Waiting answer={answer} />}
    </>
  );
}

function PathSteps({ steps, leftOut }: { steps: Reference[]; leftOut: number }) {
  if (steps.length === 0) return null;
  return (
    <details>
      <summary>{many(leftOut + steps.length, 'step')}</summary>
      {leftOut > 0 && <p class="quiet">The last {number(steps.length)} of them:</p>}
      <ol class="steps" start={leftOut + 1}>
        {steps.map(({ type, name, object }, index) => (
          <li key={index}><span class="quiet">{type}</span> <span class="edge">{name}</span> <ObjectName object={object} /></li>
        ))}
      </ol>
    </details>
  );
}

function pathAsText({ object, path }: Page): string {
  const steps = path.steps.map(({ type, name, object: to }) => `  ${type} ${name}  ${label(to)} @${to.id}`);
  const before = path.leftOut ? [`  … ${many(path.leftOut, 'step')}`] : [];
  return [`${label(object)} @${object.id}`, path.text, ...before, ...steps].join('\n');
}

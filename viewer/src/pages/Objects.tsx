// The largest objects, those of a class, and those that a search finds.

import { useState } from 'preact/hooks';

import type { ObjectPage, ObjectsReport } from '../../../lib/analyze.d.ts';
import { useAnswer } from '../ask.ts';
import { Table } from '../components/Table.tsx';
import { ClassName, ObjectName, Share, Title, Waiting } from '../components/parts.tsx';
import { many, number, size } from '../format.ts';
import { href } from '../route.ts';
import { appState, useReport } from '../state.ts';

const PAGE = 100;

export function ObjectsPage() {
  const { source } = appState();
  return (
    <>
      <Title>Largest objects</Title>
      {source.live ? <Query /> : <p class="lead">Those that keep most alive; each has a page in this report.</p>}
      {!source.live && <ObjectTable />}
    </>
  );
}

/** Objects with pages in the report. */
export function ObjectTable({ limit }: { limit?: number }) {
  const { heap } = useReport();
  return (
    <Table<ObjectPage>
      name="Largest objects"
      rows={heap.objects.slice(0, limit)}
      textOf={limit ? undefined : ({ object, named }) => `${object.name} ${object.class} ${named ?? ''}`}
      columns={[
        { title: 'Object', by: ({ object }) => object.name, cell: ({ object }) => <ObjectName object={object} /> },
        { title: 'In the code', by: ({ named }) => named ?? '', cell: ({ named }) => named && <span class="variable">{named.replaceAll('`', '')}</span> },
        { title: 'Shallow', isNumber: true, isExtra: true, by: ({ object }) => object.shallowSize, cell: ({ object }) => size(object.shallowSize) },
        { title: 'Retained', isNumber: true, by: ({ object }) => object.retainedSize, cell: ({ object }) => size(object.retainedSize) },
        { title: 'Share', isNumber: true, isExtra: true, by: ({ object }) => object.retainedSize, cell: ({ object }) => <Share part={object.retainedSize} whole={heap.summary.totalSize} /> },
      ]}
    />
  );
}

/** A question in words, as `heapdump-rs objects --where` takes it; its state is in the address. */
function Query() {
  const { route } = appState();
  const { where = '' } = route.options;
  const [text, setText] = useState(where);
  const ask = (event: Event) => {
    event.preventDefault();
    location.hash = href('objects', '', { where: text.trim() });
  };
  return (
    <>
      <form class="query" onSubmit={ask}>
        <label for="where">Only where</label>
        <input id="where" type="text" value={text} onInput={({ currentTarget }) => setText(currentTarget.value)} placeholder="retained > 1MB and edges > 100 and class ~ 'Session'" spellcheck={false} />
        <button type="submit">Show</button>
      </form>
      <Found key={where} question={{ where: where || null }} />
    </>
  );
}

export function ClassPage() {
  const { route } = appState();
  const name = route.of;
  return (
    <>
      <Title>Objects of the class {name}</Title>
      <Freed of={name} />
      <Found key={name} question={{ class: name }} />
    </>
  );
}

export function SearchPage() {
  const { route } = appState();
  const text = route.of.replaceAll("'", '’');
  const where = `name ~ '${text}' or class ~ '${text}'`;
  return (
    <>
      <Title>Found: {route.of}</Title>
      <p class="lead">Objects whose class, name or text contains it.</p>
      <Found key={text} question={{ where }} />
    </>
  );
}

/** What would be freed without an object, or all of a class. */
export function Freed({ of }: { of: string }) {
  const [asked, setAsked] = useState(false);
  const answer = useAnswer('summary', asked ? { limit: 1, without: of } : null);
  const selection = answer.value?.selection;
  if (!asked) return <p><button type="button" onClick={() => setAsked(true)}>What would be freed without {of.startsWith('@') ? 'it' : 'them'}?</button></p>;
  if (!selection) return <Waiting answer={answer} />;
  return <p class="answer" role="status">Without {of.startsWith('@') ? of : `all of ${of}`}, {size(selection.shallowSize)} in {many(selection.objects, 'object')} would be freed.</p>;
}

type Question = { class?: string; where?: string | null };

function Found({ question }: { question: Question }) {
  const [page, setPage] = useState(1);
  const [sort, setSort] = useState<'retained' | 'shallow' | 'distance' | 'edges'>('retained');
  const answer = useAnswer('objects', { ...question, limit: PAGE, page, sort });
  const found: ObjectsReport | null = answer.value;
  if (!found) return <Waiting answer={answer} />;
  return (
    <>
      <p>
        {many(found.count, 'object')}, {size(found.shallowSize)}, together they keep {size(found.retainedSize)} alive.{' '}
        <label>
          The largest by{' '}
          <select value={sort} onChange={({ currentTarget }) => (setSort(currentTarget.value as 'retained'), setPage(1))}>
            <option value="retained">retained size</option>
            <option value="shallow">shallow size</option>
            <option value="edges">references</option>
            <option value="distance">distance</option>
          </select>
        </label>
      </p>
      <Table
        name="Objects"
        rows={found.objects}
        textOf={(object) => `${object.name} ${object.class} @${object.id}`}
        columns={[
          { title: 'Object', by: (object) => object.name, cell: (object) => <ObjectName object={object} /> },
          { title: 'Class', isExtra: true, by: (object) => object.class, cell: (object) => <ClassName name={object.class} /> },
          { title: 'Distance', isNumber: true, isExtra: true, by: (object) => object.distance ?? -1, cell: (object) => distance(object.distance) },
          { title: 'References', isNumber: true, isExtra: true, by: (object) => object.edges, cell: (object) => number(object.edges) },
          { title: 'Shallow', isNumber: true, by: (object) => object.shallowSize, cell: (object) => size(object.shallowSize) },
          { title: 'Retained', isNumber: true, by: (object) => object.retainedSize, cell: (object) => size(object.retainedSize) },
        ]}
      />
      {found.pages > 1 && (
        <p class="pager">
          <button type="button" disabled={page <= 1} onClick={() => setPage(page - 1)}>Before</button>
          <span>page {number(page)} of {number(found.pages)}</span>
          <button type="button" disabled={page >= found.pages} onClick={() => setPage(page + 1)}>Next</button>
        </p>
      )}
    </>
  );
}

/** What only V8 holds is 100,000,000 away or more. */
export const distance = (steps: number | null) => (steps === null ? '–' : steps >= 1e8 ? 'V8’s' : number(steps));

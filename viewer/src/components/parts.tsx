// Small parts that pages are made of.

import type { ComponentChildren } from 'preact';

import type { ObjectRef, PathReport, SourcePlace } from '../../../lib/analyze.d.ts';
import { percent, size } from '../format.ts';
import { href } from '../route.ts';
import { change, appState } from '../state.ts';
import { sortOf } from '../drawing/colours.ts';

/** The title of a page; it has the focus when the page is gone to. */
export const Title = ({ children }: { children: ComponentChildren }) => <h1 tabIndex={-1}>{children}</h1>;

interface SectionProps {
  title: string;
  /** Where all of it is. */
  all?: string;
  /** What copies as text. */
  copy?: () => string;
  children: ComponentChildren;
}

export function Section({ title, all, copy, children }: SectionProps) {
  return (
    <section>
      <header>
        <h2>{title}</h2>
        {copy && <Copy text={copy} what={title} />}
        {all && <a class="all" href={all}>All<span class="unseen"> of {title}</span></a>}
      </header>
      {children}
    </section>
  );
}

/** An object: a link where it has a page. */
export function ObjectName({ object }: { object: ObjectRef }) {
  const { source, report } = appState();
  const known = source.live || report?.heap.objects.some((page) => page.object.id === object.id);
  const words = (
    <>
      <span class={`name ${sortOf(object.class)}`}>{label(object)}</span> <span class="id">@{object.id}</span>
    </>
  );
  return known ? <a class="object" href={href('object', String(object.id))}>{words}</a> : <span class="object">{words}</span>;
}

/** What an object is called: a function has brackets, and what has no name its class. */
export function label({ name, class: of, type }: ObjectRef): string {
  if (type === 'closure') return name ? `${name}()` : '(anonymous function)';
  return name || of;
}

export const className = (name: string) => <span class={`name ${sortOf(name)}`}>{name || '(no name)'}</span>;

/** A sentence of the analyzer's, which has names between backticks. */
export const Words = ({ text }: { text: string }) => <>{text.split('`').map((part, index) => (index % 2 === 1 ? <code key={index} class="variable">{part}</code> : part))}</>;

/** A class: a link to its objects where they can be asked for. */
export function ClassName({ name }: { name: string }) {
  const { source } = appState();
  return source.live ? <a href={href('class', name)}>{className(name)}</a> : className(name);
}

/** `server.js:4:14`, all of it where one points. */
export function Place({ place }: { place: SourcePlace | null }) {
  if (!place) return null;
  const script = place.script ?? `script ${place.scriptId}`;
  return <code class="place">{`${script}:${place.line}:${place.column}`}</code>;
}

/** A way in words. */
export const Way = ({ path }: { path: PathReport }) => <p class="way">{path.text || 'nothing leads to it'}</p>;

export function Share({ part, whole }: { part: number; whole: number }) {
  const width = whole > 0 ? Math.min(100, (100 * part) / whole) : 0;
  return (
    <span class="share">
      <span class="bar" aria-hidden="true"><span style={{ width: `${width}%` }} /></span>
      {percent(part, whole)}
    </span>
  );
}

export const Size = ({ bytes }: { bytes: number }) => <span class="size">{size(bytes)}</span>;

export function Copy({ text, what }: { text: () => string; what: string }) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text());
      change({ said: `${what}: copied` });
    } catch {
      change({ said: 'This browser does not let the page copy' });
    }
  };
  return <button type="button" class="copy" onClick={copy}>Copy<span class="unseen"> {what} as text</span></button>;
}

export function Waiting({ answer }: { answer: { waiting: boolean; error: string | null } }) {
  if (answer.error) return <p class="problem" role="alert">{answer.error}</p>;
  return answer.waiting ? <p class="quiet" role="status">…</p> : null;
}

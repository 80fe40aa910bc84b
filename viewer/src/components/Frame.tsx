// What stands around every page: the name, the ways to go, the search.

import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

import { baseName, size } from '../format.ts';
import { href } from '../route.ts';
import { type State, chooseTheme, appState, useReport } from '../state.ts';

const PAGES: Array<[string, string]> = [
  ['overview', 'Overview'],
  ['tree', 'Tree'],
  ['growth', 'Growth'],
  ['compare', 'Compare'],
  ['suspects', 'Suspects'],
  ['objects', 'Objects'],
  ['classes', 'Classes'],
  ['strings', 'Strings'],
  ['packages', 'Packages'],
];

export function Frame({ children }: { children: ComponentChildren }) {
  const { said, source } = appState();
  const report = useReport();
  const has: Record<string, boolean> = {
    growth: report.trend !== null,
    compare: source.live && report.files.length > 1,
  };
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>To the contents</a>
      <header class="top">
        <a class="brand" href="#/">heap<b>dump</b>-rs</a>
        <span class="file" title={report.files.at(-1)}>{baseName(report.files.at(-1) ?? '')}</span>
        <span class="file total">{size(report.heap.summary.totalSize)}</span>
        {source.live && <Search />}
        <Theme />
      </header>
      <nav aria-label="Pages">
        {PAGES.filter(([page]) => has[page] ?? true).map(([page, words]) => <Way key={page} page={page} words={words} />)}
      </nav>
      <main id="main">{children}</main>
      <footer>
        <p>
          Made by heapdump-rs {report.files.length > 1 ? 'from the snapshots' : 'from the snapshot'}{' '}
          {report.files.map(baseName).join(', ')}.
          {report.values ? ' Contents of strings are shown.' : ' Contents of strings are not in it; names of classes, properties, functions and files are.'}
        </p>
      </footer>
      <p class="unseen" role="status">{said}</p>
    </>
  );
}

/** Not by the address, which says what is shown. */
function skip(event: Event): void {
  event.preventDefault();
  document.querySelector<HTMLElement>('main h1')?.focus();
}

function Way({ page, words }: { page: string; words: string }) {
  const { route } = appState();
  const here = route.page === page || (page === 'objects' && ['object', 'search'].includes(route.page)) || (page === 'classes' && route.page === 'class');
  return <a href={href(page)} aria-current={here ? 'page' : undefined}>{words}</a>;
}

function Search() {
  const { route } = appState();
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const hear = (event: KeyboardEvent) => {
      const typing = /^(INPUT|TEXTAREA|SELECT)$/.test((event.target as HTMLElement).tagName);
      if (event.key !== '/' || typing || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      field.current?.focus();
    };
    addEventListener('keydown', hear);
    return () => removeEventListener('keydown', hear);
  }, []);
  const search = (event: Event) => {
    event.preventDefault();
    const text = field.current?.value.trim() ?? '';
    const [, id] = /^@(\d+)$/.exec(text) ?? [];
    if (text) location.hash = id ? href('object', id) : href('search', text);
  };
  return (
    <form role="search" onSubmit={search}>
      <input
        ref={field}
        type="search"
        aria-label="Search objects by class, text or @id"
        placeholder="Class, text or @id  ( / )"
        defaultValue={route.page === 'search' ? route.of : ''}
      />
    </form>
  );
}

const NEXT: Record<State['theme'], State['theme']> = { auto: 'dark', dark: 'light', light: 'auto' };
const SIGNS: Record<State['theme'], string> = { auto: '◐', dark: '●', light: '○' };

function Theme() {
  const { theme } = appState();
  return (
    <button type="button" class="theme" onClick={() => chooseTheme(NEXT[theme])} title={`Colours: ${theme}`}>
      <span aria-hidden="true">{SIGNS[theme]}</span>
      <span class="unseen">Colours: {theme}; change to {NEXT[theme]}</span>
    </button>
  );
}

// All that the app knows, in one place; components read it with `appState` and change it with the functions below.

import { useLayoutEffect, useReducer } from 'preact/hooks';

import type { Report } from '../../lib/analyze.d.ts';
import { parseRoute, type Route } from './route.ts';
import type { Source, Status } from './source.ts';

export interface State {
  report: Report | null;
  source: Source;
  route: Route;
  theme: 'auto' | 'light' | 'dark';
  /** While `heapdump-rs view` loads. */
  status: Status | null;
  /** Why nothing can be shown. */
  error: string | null;
  /** What is told to who cannot see it, such as "copied". */
  said: string;
}

let state: State = {
  report: null,
  source: { live: false, ask: () => Promise.reject(new Error('nothing is loaded')) },
  route: parseRoute(location.hash),
  theme: 'auto',
  status: null,
  error: null,
  said: '',
};
const watchers = new Set<() => void>();

export function change(part: Partial<State>): void {
  state = { ...state, ...part };
  for (const watcher of watchers) watcher();
}

/** For the topmost component: whatever changes, all below it is rendered again. */
export function useApp(): State {
  const [, update] = useReducer((count: number) => count + 1, 0);
  useLayoutEffect(() => {
    const watcher = () => update(undefined as never);
    watchers.add(watcher);
    return () => void watchers.delete(watcher);
  }, []);
  return state;
}

/** For all the others, of which a page has hundreds. */
export const appState = (): State => state;

/** The report; only components that are shown once it is there may ask. */
export function useReport(): Report {
  if (state.report === null) throw new Error('there is no report yet');
  return state.report;
}

export function chooseTheme(theme: State['theme']): void {
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem('theme', theme);
  } catch {
    // A page from disk may have no storage.
  }
  change({ theme });
}

export function start(): void {
  try {
    const theme = localStorage.getItem('theme');
    if (theme === 'light' || theme === 'dark') chooseTheme(theme);
  } catch {
    // As above.
  }
  addEventListener('hashchange', () => {
    change({ route: parseRoute(location.hash) });
    scrollTo(0, 0);
    // Once it is drawn: the title of the page before is still there.
    setTimeout(() => document.querySelector<HTMLElement>('main h1')?.focus({ preventScroll: true }));
  });
}

// Where answers come from: from the report within the page, or from the analyzer behind `heapdump-rs view`.

import type {
  CompareReport, ObjectPage, ObjectsQuestion, ObjectsReport, PathReport, Reference, Report, SummaryReport, TreeNode, TreeQuestion, View,
} from '../../lib/analyze.d.ts';

/** What the analyzer is asked, and what it answers. */
export interface Questions {
  objects: [ObjectsQuestion, ObjectsReport];
  page: [{ id: number; limit: number; filter?: string | null }, ObjectPage];
  retainers: [{ id: number; limit: number } & View, Reference[]];
  path: [{ id: number; limit: number } & View, PathReport];
  tree: [TreeQuestion, TreeNode];
  summary: [{ limit: number; without?: string }, SummaryReport];
  compare: [{ with: number; limit: number }, CompareReport];
}

/** How far the loading is. */
export interface Status {
  ready: boolean;
  error: string | null;
  files: Array<{ name: string; read: number; total: number }>;
}

export interface Source {
  /** Whether anything can be asked, or only what the report has is known. */
  live: boolean;
  ask<Q extends keyof Questions>(question: Q, options: Questions[Q][0]): Promise<Questions[Q][1]>;
}

/** What a report on its own can answer: the pages that are in it. */
export function reportSource(report: Report): Source {
  return {
    live: false,
    ask: async (question, options) => {
      const { id } = options as { id?: number };
      const page = report.heap.objects.find(({ object }) => object.id === id);
      if (question === 'page' && page) return page as never;
      throw new Error('This object has no page in the report. `npx heapdump-rs view` shows every object of the snapshot.');
    },
  };
}

/** Answers are kept: going back shows at once what was there. */
export function liveSource(token: string): Source {
  const kept = new Map<string, Promise<unknown>>();
  return {
    live: true,
    ask(question, options) {
      const key = JSON.stringify([question, options]);
      let answer = kept.get(key);
      if (answer === undefined) {
        answer = post(token, 'ask', { question, options });
        kept.set(key, answer);
        answer.catch(() => kept.delete(key));
        if (kept.size > 200) kept.delete(kept.keys().next().value as string);
      }
      return answer as Promise<never>;
    },
  };
}

export async function post(token: string, what: string, body: unknown): Promise<unknown> {
  const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` };
  let response: Response;
  try {
    response = await fetch(`/${what}`, { method: 'POST', headers, body: JSON.stringify(body), cache: 'no-store' });
  } catch {
    throw new Error('`heapdump-rs view` does not answer any more: was it ended?');
  }
  const answer = (await response.json().catch(() => ({ error: response.statusText }))) as { error?: string };
  if (!response.ok) throw new Error(answer.error ?? response.statusText);
  return answer;
}

/** The token that came in the address, which is then taken out of it. It is this origin's alone: ports have their own. */
export function takeToken(): string {
  const [, given] = /[#&]token=([\w-]+)/.exec(location.hash) ?? [];
  if (given === undefined) return localStorage.getItem('token') ?? '';
  localStorage.setItem('token', given);
  history.replaceState(null, '', location.pathname + (location.hash.replace(/[#&]token=[\w-]+/, '') || '#/'));
  return given;
}

// A question to the analyzer, and what a component shows until the answer is there.

import { useLayoutEffect, useState } from 'preact/hooks';

import { appState } from './state.ts';
import type { Questions } from './source.ts';

export interface Answer<T> {
  /** The last answer: it stays while the next is on its way. */
  value: T | null;
  error: string | null;
  waiting: boolean;
}

/** `options` null asks nothing. */
export function useAnswer<Q extends keyof Questions>(question: Q, options: Questions[Q][0] | null): Answer<Questions[Q][1]> {
  const { source } = appState();
  const [answer, setAnswer] = useState<Answer<Questions[Q][1]>>({ value: null, error: null, waiting: options !== null });
  const key = JSON.stringify(options);
  // Before the page is drawn: the answer is on its way meanwhile.
  useLayoutEffect(() => {
    if (options === null) {
      setAnswer({ value: null, error: null, waiting: false });
      return;
    }
    let wanted = true;
    setAnswer((last) => (last.waiting ? last : { ...last, error: null, waiting: true }));
    source.ask(question, options).then(
      (value) => wanted && setAnswer({ value, error: null, waiting: false }),
      (error: Error) => wanted && setAnswer({ value: null, error: error.message, waiting: false }),
    );
    return () => void (wanted = false);
  }, [source, question, key]);
  return answer;
}

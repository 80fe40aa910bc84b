// The report within the page, or what `heapdump-rs view` has.

import { render } from 'preact';

import type { Report } from '../../lib/analyze.d.ts';
import { App } from './App.tsx';
import { parseRoute } from './route.ts';
import { type Status, liveSource, post, reportSource, takeToken } from './source.ts';
import { change, start } from './state.ts';

const embedded = document.getElementById('report')?.textContent;

start();
if (embedded) {
  const report = JSON.parse(embedded) as Report;
  change({ report, source: reportSource(report) });
} else {
  void load(takeToken());
}
render(<App />, document.getElementById('app')!);

/** Asks how far the loading is until it is done. */
async function load(token: string): Promise<void> {
  try {
    for (;;) {
      const status = (await post(token, 'status', {})) as Status;
      if (status.error) throw new Error(status.error);
      change({ status });
      if (status.ready) break;
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    const report = (await post(token, 'report', {})) as Report;
    change({ report, source: liveSource(token), route: parseRoute(location.hash) });
  } catch (error) {
    change({ error: (error as Error).message });
  }
}

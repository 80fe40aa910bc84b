// While `heapdump-rs view` loads its files.

import { baseName, size } from '../format.ts';
import { appState } from '../state.ts';

export function Loading() {
  const { status, error } = appState();
  if (error) return <main class="loading"><h1>heapdump-rs</h1><p class="problem" role="alert">{error}</p></main>;
  const files = status?.files ?? [];
  const isRead = files.length > 0 && files.every(({ read, total }) => read >= total);
  return (
    <main class="loading" aria-busy="true">
      <h1>heapdump-rs</h1>
      {files.map(({ name, read, total }) => (
        <label key={name}>
          {baseName(name)} <span class="quiet">{size(Math.min(read, total))} of {size(total)}</span>
          <progress max={total || 1} value={Math.min(read, total)} />
        </label>
      ))}
      <p class="quiet" role="status">{isRead ? 'Computing what keeps what alive …' : 'Reading …'}</p>
    </main>
  );
}

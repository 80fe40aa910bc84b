// Heaps for benchmarks and stress: ordinary mixed objects, kept reachable, of a given size.

const MB = 1024 * 1024;

/** One record of about 1.1 kB: what an application's caches and sessions are made of. */
function record(n) {
  const tags = [`tag-${n % 97}`, n, n * 1.5];
  const attributes = new Map([
    ['name', `record number ${n}`],
    ['group', n % 1000],
  ]);
  const item = {
    id: n,
    key: `key:${n.toString(36)}:${(n * 7919).toString(36)}`,
    createdAt: new Date(n * 1000),
    tags,
    attributes,
    owner: { first: `First${n % 5000}`, last: `Last${n % 7000}`, roles: ['reader', n % 3 ? 'writer' : 'admin'] },
    counters: new Float64Array(4).fill(n),
    history: Array.from({ length: 8 }, (_, i) => ({ at: n + i, what: i % 2 ? 'read' : 'write' })),
    notify: () => `${item.key} of ${tags.length}`,
  };
  return item;
}

/** Grows until `process.memoryUsage().heapUsed` has grown by `megabytes`. Keep what it returns. */
export function fill(megabytes) {
  const kept = new Map();
  const start = process.memoryUsage().heapUsed;
  const used = () => process.memoryUsage().heapUsed - start;
  let n = 0;
  let target = megabytes * MB;
  // Garbage counts in heapUsed until it is collected, so what is missing afterwards is added.
  for (let round = 0; round < 6; round++) {
    while (used() < target) for (let i = 0; i < 500; i++) kept.set(n, record(n++));
    globalThis.gc?.();
    if (used() >= target * 0.98) break;
  }
  return kept;
}

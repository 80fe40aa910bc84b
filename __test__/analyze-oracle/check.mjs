// Compares the analyzer with DevTools: `node check.mjs BINARY FILE [LATER_FILE]`. Prints what differs;
// exits with 1 if anything does. Node for node, class for class, and the difference of two files.
import { execFileSync, spawn } from 'node:child_process';
import readline from 'node:readline';
import { load } from '../../harness/devtools/load.mjs';

const [binary, file, later] = process.argv.slice(2);
let differences = 0;
const differ = (what, ours, theirs) => {
  if (++differences <= 10) process.stdout.write(`  ${what}: ours ${ours}, DevTools ${theirs}\n`);
};

const base = await load(file);
if (later) await checkDiff();
else {
  await checkNodes();
  checkClasses(['summary', file], {});
  checkFilters();
  checkIgnored();
  checkStatistics();
  checkStacks();
}
process.stdout.write(differences ? `  ${differences} differences\n` : '');
process.exit(differences ? 1 : 0);

async function checkNodes() {
  const child = spawn(binary, ['export', file, '--nodes'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = readline.createInterface({ input: child.stdout });
  const node = base.createNode(0);
  let columns;
  let ordinal = 0;
  for await (const line of lines) {
    const cells = line.split('\t');
    if (!columns) {
      columns = Object.fromEntries(cells.map((name, index) => [name, index]));
      continue;
    }
    node.nodeIndex = ordinal * base.nodeFieldCount;
    const distance = cells[columns.distance] === '' ? -5 : Number(cells[columns.distance]);
    const pairs = [
      ['id', Number(cells[columns.id]), node.id()],
      ['shallow', Number(cells[columns.shallow_size]), node.selfSize()],
      ['retained', Number(cells[columns.retained_size]), node.retainedSize()],
      ['dominator', Number(cells[columns.dominator]), base.dominatorsTree[ordinal]],
      ['distance', distance, node.distance()],
    ];
    for (const [what, ours, theirs] of pairs) {
      if (ours !== theirs) differ(`${what} of node ${ordinal} @${node.id()}`, ours, theirs);
    }
    ordinal++;
  }
  if (ordinal !== base.nodeCount) differ('nodes', ordinal, base.nodeCount);
}

function checkClasses(command, filter) {
  const { classes } = run([...command, '--json', '--limit', '0']);
  const theirs = aggregates(base, filter);
  const ours = new Map(classes.map((row) => [row.key, row]));
  for (const [key, sums] of theirs) {
    const row = ours.get(key);
    if (!row) differ(`class ${key} ${filter.filterName ?? ''}`, 'nothing', JSON.stringify(sums));
    else {
      const mine = { count: row.count, self: row.shallowSize, retained: row.retainedSize, distance: row.distance };
      for (const what of Object.keys(mine)) {
        if (mine[what] !== sums[what]) differ(`${what} of class ${key} ${filter.filterName ?? ''}`, mine[what], sums[what]);
      }
    }
    ours.delete(key);
  }
  for (const key of ours.keys()) differ(`class ${key} ${filter.filterName ?? ''}`, 'there', 'nothing');
}

// DevTools' named filters, by our names; and that what shows under one is what it says.
function checkFilters() {
  const filters = {
    'duplicated-strings': 'duplicatedStrings',
    'detached-dom-nodes': 'objectsRetainedByDetachedDomNodes',
    console: 'objectsRetainedByConsole',
    'event-handlers': 'objectsRetainedByEventHandlers',
    contexts: 'objectsRetainedByContexts',
  };
  for (const [ours, filterName] of Object.entries(filters)) {
    checkClasses(['summary', file, '--only', ours], { filterName });
  }
}

// How far an object is when one that retains it is ignored: of the last few that have two.
function checkIgnored() {
  const retained = base.createNode(0);
  let left = 3;
  for (let ordinal = base.nodeCount - 1; ordinal > 0 && left > 0; ordinal--) {
    retained.nodeIndex = ordinal * base.nodeFieldCount;
    const holders = new Map();
    for (const edges = retained.retainers(); edges.hasNext(); edges.next()) {
      const edge = edges.item();
      if (edge.type() !== 'weak' && edge.node().rawType() === base.nodeObjectType) holders.set(edge.node().id(), edge.node());
    }
    if (retained.rawType() !== base.nodeObjectType || holders.size < 2) continue;
    left--;
    const [[id, holder]] = holders;
    base.ignoreNodeInRetainersView(holder.nodeIndex);
    const far = base.getDistanceForRetainersView(retained.nodeIndex);
    base.unignoreAllNodesInRetainersView();
    const args = ['retainers', file, '--object-id', `${retained.id()}`, '--ignore', `@${id}`, '--json'];
    const ours = run(args).object.distance;
    const theirs = far >= 200_000_000 ? null : far;
    if (ours !== theirs) differ(`distance of @${retained.id()} without @${id}`, ours, theirs);
  }
}

function aggregates(snapshot, filter) {
  const found = snapshot.aggregatesWithFilter(filter);
  return new Map(Object.entries(found).map(([key, { count, self, maxRet, distance }]) =>
    [key, { count, self, retained: maxRet, distance }]));
}

function checkStatistics() {
  const ours = run(['statistics', file, '--json']);
  const { total, native, v8heap } = base.getStatistics();
  const pairs = {
    total, native: native.total, typedArrays: native.typedArrays, v8Heap: v8heap.total,
    code: v8heap.code, jsArrays: v8heap.jsArrays, strings: v8heap.strings, system: v8heap.system,
  };
  for (const [what, theirs] of Object.entries(pairs)) {
    if (ours[what] !== theirs) differ(`statistics: ${what}`, ours[what], theirs);
  }
}

// Who allocated an object: of a few objects, since each takes a command of its own.
function checkStacks() {
  if (!base.profile.snapshot.trace_function_count) return;
  const traced = [];
  const node = base.createNode(0);
  for (let ordinal = 0; ordinal < base.nodeCount; ordinal++) {
    node.nodeIndex = ordinal * base.nodeFieldCount;
    if (node.traceNodeId() && node.name() === 'Account') traced.push(ordinal);
  }
  if (!traced.length) differ('objects with a stack', '?', 'none');
  for (const ordinal of [traced.at(0), traced.at(-1)]) {
    node.nodeIndex = ordinal * base.nodeFieldCount;
    const frames = base.allocationStack(node.nodeIndex);
    const theirs = frames.map((f) => `${f.functionName} ${f.scriptName} ${f.scriptId}:${f.line}:${f.column}`);
    const ours = run(['inspect-object', file, '--object-id', `${node.id()}`, '--json']).allocatedBy
      .map((f) => `${f.function} ${f.script} ${f.scriptId}:${f.line}:${f.column}`);
    if (ours.join() !== theirs.join()) differ(`stack of @${node.id()}`, ours.join('\n'), theirs.join('\n'));
  }
}

async function checkDiff() {
  const target = await load(later);
  const baseAggregates = base.aggregatesForDiff(target.interfaceDefinitions());
  const theirs = target.calculateSnapshotDiff(1, baseAggregates);
  const { classes } = run(['compare', file, later, '--json', '--limit', '0', '--match', 'id']);
  const ours = new Map(classes.map((row) => [row.key, row]));
  for (const [key, diff] of Object.entries(theirs)) {
    const row = ours.get(key);
    const mine = row ?? { added: 0, removed: 0, addedSize: 0, removedSize: 0, countDelta: 0, sizeDelta: 0 };
    const pairs = {
      added: diff.addedCount, removed: diff.removedCount, addedSize: diff.addedSize,
      removedSize: diff.removedSize, countDelta: diff.countDelta, sizeDelta: diff.sizeDelta,
    };
    for (const [what, value] of Object.entries(pairs)) {
      if (mine[what] !== value) differ(`${what} of class ${key}`, mine[what], value);
    }
    ours.delete(key);
  }
  for (const [key, row] of ours) {
    // A class may retain more than before without a single object that came or went.
    if (row.added || row.removed) differ(`class ${key}`, 'a difference', 'none');
  }
}

function run(args) {
  return JSON.parse(execFileSync(binary, args, { maxBuffer: 1 << 30, stdio: ['ignore', 'pipe', 'inherit'] }));
}

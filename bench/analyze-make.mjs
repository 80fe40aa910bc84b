// Makes a heap snapshot of roughly the asked size: `node bench/analyze-make.mjs OUT.heapsnapshot MEGABYTES`.
// The heap is a mix of what servers hold: class instances, maps, arrays, strings, closures, shared
// configuration, a long linked list (deep dominator trees) and weak maps.
import v8 from 'node:v8';
import process from 'node:process';

const [out, megabytes = '20'] = process.argv.slice(2);
if (!out) {
  process.stderr.write('usage: node bench/analyze-make.mjs OUT.heapsnapshot MEGABYTES\n');
  process.exit(2);
}

class Session {
  constructor(i, shared) {
    this.id = i;
    this.name = `session-${i}`;
    this.user = { name: `user ${i}`, roles: ['reader', 'writer'], shared };
    this.attributes = new Map([['a', i + 0.5], ['b', [i, i + 1, shared]]]);
    this.onClose = () => this.id + shared.hits;
  }
}

// Measured: one turn of the loop below adds about 2,700 bytes to the file.
const turns = Math.max(1, Math.round((Number(megabytes) * 1e6 - 5e6) / BYTES_A_TURN()));
const held = build(turns);
v8.writeHeapSnapshot(out);
process.stdout.write(`${out}: ${turns} turns, ${held.sessions.length} sessions\n`);

function BYTES_A_TURN() {
  return 2700;
}

function build(count) {
  const shared = { hits: 1, config: { region: 'eu', limits: [1, 2, 3] } };
  const sessions = [];
  const weak = new WeakMap();
  let list = null;
  for (let i = 0; i < count; i++) {
    const session = new Session(i, shared);
    sessions.push(session);
    list = { next: list, value: i, session };
    if (i % 16 === 0) weak.set(session, { since: i });
    session.points = Array.from({ length: 8 }, (_, k) => ({ x: k + 0.25, y: i, from: session }));
    session.log = [session.name, session.user, session.points[0], list];
  }
  return { sessions, list, weak };
}

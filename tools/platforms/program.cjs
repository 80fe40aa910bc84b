'use strict';

// What a binary is asked for on its platform: `node program.cjs PACKAGE COUNT` writes COUNT snapshots, one after the other,
// while timers run and V8's worker threads have work, and prints a line for each.

const [directory, count] = process.argv.slice(2);
const { writeSnapshot } = require(directory);

const kept = [];
for (let i = 0; i < 20_000; i++) kept.push({ i, text: `text ${i}`, list: [i, { i }] });

// New functions and garbage: compilation and collection by the workers.
const busy = setInterval(() => {
  const work = new Function('list', `let sum = ${kept.length}; for (const x of list) sum += x.i + x.list.length; return sum;`);
  kept.push({ i: work(kept), text: '', list: [] });
}, 5);

function next(n) {
  if (n === Number(count)) return clearInterval(busy);
  writeSnapshot(`${n}.heapsnapshot`, (error, filename, report) => {
    console.log(JSON.stringify(error ? { error: `${error.code}: ${error.message}` } : { filename, ...report }));
    next(n + 1);
  });
}
next(0);

// The server of docs/sql.md, before and after 2,000 requests: `node subject.cjs DIRECTORY`.
'use strict';
const path = require('node:path');
const v8 = require('node:v8');

class Session {
  constructor(number) {
    this.user = { name: `user ${number % 500}`, agent: Buffer.from(`agent ${number % 3}`).toString('latin1') };
    this.seen = [number, number + 0.5];
  }
}

const sessions = new Map();
globalThis.handler = () => sessions;
const serve = (count) => {
  for (let i = 0; i < count; i++) sessions.set(`id ${sessions.size}`, new Session(sessions.size));
};

serve(100);
v8.writeHeapSnapshot(path.join(process.argv[2], 'before.heapsnapshot'));
serve(2000);
v8.writeHeapSnapshot(path.join(process.argv[2], 'after.heapsnapshot'));

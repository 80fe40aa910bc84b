// Connections that are taken from a pool and not given back.
'use strict';
class Connection {
  constructor(number) {
    this.number = number;
    this.buffer = new Array(50).fill(number);
  }
}
class Pool {
  busy = new Set();
  free = [];
  take(number) {
    const connection = this.free.pop() ?? new Connection(number);
    this.busy.add(connection);
    return connection;
  }
  release(connection) {
    this.busy.delete(connection);
    this.free.push(connection);
  }
}
const pool = new Pool();
exports.expect = /set-of-connections\.cjs: pool → Pool → busy → Set/;
exports.leak = (i) => pool.take(i);
exports.repaired = (i) => pool.release(pool.take(i));

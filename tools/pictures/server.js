'use strict';

// The program in the pictures: a shop whose sessions stay, and whose customers never stop to follow the prices.

const { EventEmitter } = require('node:events');
const { writeHeapSnapshot } = require('node:v8');

class Session {
  constructor(number) {
    this.user = { name: `customer ${number}`, basket: [] };
    this.seen = new Array(120).fill(number + 0.5);
  }
}

class Product {
  constructor(number) {
    this.name = `product ${number}`;
    this.tags = ['garden', 'tools', `row ${number % 40}`];
  }
}

const sessions = new Map();
const catalogue = Array.from({ length: 6000 }, (_, number) => new Product(number));
const thumbnails = Array.from({ length: 12 }, () => Buffer.alloc(120_000));
const prices = new EventEmitter().setMaxListeners(0);

function open(id, number) {
  sessions.set(id, new Session(number));
  return sessions.get(id);
}

function follow(session) {
  const history = new Array(800).fill(session.seen[0]);
  prices.on('price', function onPrice(price) {
    history.push(price);
  });
}

const NOON = Date.UTC(2026, 10, 21, 12);
const HOUR = 3_600_000;
let hour = 0;

/** One at a time, and nothing of it on the stack. */
function work() {
  for (let number = 0; number < 2500; number++) {
    const session = open(`session-${hour}-${number}`, number);
    if (number % 10 === 0) follow(session);
  }
  setImmediate(() => {
    writeHeapSnapshot(`heap-used-${NOON + hour * HOUR}.heapsnapshot`);
    if (++hour < 4) setImmediate(work);
  });
}

work();
module.exports = { catalogue, thumbnails, open };

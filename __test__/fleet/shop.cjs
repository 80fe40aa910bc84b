'use strict';

// A pod of a shop, simulated: serves orders in rounds, and exports a snapshot after each. run.mjs copies it beside pod.cjs.

const { exportNow } = require('./pod.cjs');

const { leaks, odd, rounds } = JSON.parse(process.env.SHOP);
const ORDERS = 500;

class PendingOrder {
  constructor(number) {
    this.number = number;
    this.items = [{ article: number % 97, count: 1 + (number % 3) }];
    this.note = Buffer.from(`order ${number}, to be sent with care`).toString('latin1');
  }
}

class Route {
  constructor(number) {
    this.pattern = Buffer.from(`/articles/${number}/:id`).toString('latin1');
    this.calls = 0;
  }
}

const pending = new Map();
const routes = Array.from({ length: odd ? 8000 : 200 }, (_, number) => new Route(number));
globalThis.shop = { pending, routes };

function serve(count) {
  for (let i = 0; i < count; i++) {
    const order = new PendingOrder(pending.size + i);
    pending.set(`order ${pending.size}-${i}`, order);
    routes[i % routes.length].calls += 1;
    if (!leaks) pending.clear();
  }
}

async function main() {
  for (let round = 0; round < rounds; round++) {
    serve(ORDERS);
    console.log(await exportNow());
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});

// A class counts its instances in a static field.
'use strict';
class Order {
  static all = new Map();
  constructor(id) {
    this.id = id;
    this.lines = new Array(30).fill(id);
    Order.all.set(id, this);
  }
  close() {
    Order.all.delete(this.id);
  }
}
exports.expect = /static-field\.cjs: Order → Order\(\) → all → Map/;
exports.leak = (i) => new Order(i);
exports.repaired = (i) => new Order(i).close();

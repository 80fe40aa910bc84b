'use strict';

const { EventEmitter } = require('node:events');

const prices = new EventEmitter().setMaxListeners(0);

/** Calls `listener` with each price until the function that it returns is called. */
exports.follow = (listener) => {
  const seen = [];
  const onPrice = (price) => {
    seen.push(price);
    listener(price);
  };
  prices.on('price', onPrice);
  return () => {
    prices.off('price', onPrice);
  };
};

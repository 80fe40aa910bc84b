// Of each page its title is kept, and with it the whole page.
'use strict';
const titles = [];
exports.steps = 200;
exports.expect = /sliced-strings\.cjs: titles → Array/;
const page = (i) => `<title>A title that is long enough to be cut, ${i}</title>` + String.fromCharCode(65 + (i % 26)).repeat(5000);
exports.leak = (i) => {
  const text = Buffer.from(page(i)).toString();
  titles.push(text.slice(7, 50));
};
exports.repaired = (i) => {
  titles.length = 0;
  exports.leak(i);
};

// A partial is registered under a new name for each mail.
'use strict';
const handlebars = require('handlebars');
exports.expect = /p-handlebars\.cjs: handlebars → [^]*partials/;
exports.leak = (i) => handlebars.registerPartial(`mail-${i}`, `<p>${i}</p>`.repeat(50));
exports.repaired = (i) => {
  exports.leak(i);
  handlebars.unregisterPartial(`mail-${i}`);
};

// Texts are added under a new language for each visitor.
'use strict';
const i18next = require('i18next');
exports.setup = () => i18next.init({ lng: 'en', resources: { en: { translation: { hello: 'Hello' } } } });
exports.expect = /p-i18next\.cjs: i18next → /;
exports.leak = (i) => i18next.addResourceBundle(`x-${i}`, 'translation', { hello: `Hello ${i}`, list: new Array(10).fill(i) });
exports.repaired = (i) => {
  exports.leak(i);
  i18next.removeResourceBundle(`x-${i}`, 'translation');
  delete i18next.store.data[`x-${i}`];
};

'use strict';

// The page: one HTML file with all that it needs. What it may run and load is said by hashes in its Content-Security-Policy, and text of a
// heap is in it only as JSON that cannot end its element.

const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const BUILT = path.join(__dirname, '../../viewer/dist');
/** A report is not to be larger. */
const LARGEST = 1_000_000;

/** A report as a page; what is largest is shortened until it is small enough. */
function reportPage(document) {
  const app = built();
  let page = fill(app, document);
  for (const smaller of shorter(document)) {
    if (Buffer.byteLength(page) <= LARGEST) break;
    page = fill(app, smaller);
  }
  return page;
}

/** The page of `heapdump-rs view`, which asks for all that it shows; and its policy, for the header. */
function livePage() {
  const app = built();
  return { page: fill(app, null), policy: policy(app, "'self'") };
}

function fill(app, document) {
  const title = document ? document.headline : 'heapdump-rs view';
  const meta = document ? `<meta http-equiv="Content-Security-Policy" content="${policy(app, "'none'")}">\n` : '';
  const data = document ? `<script type="application/json" id="report">${jsonWithin(document)}</script>\n` : '';
  return `<!doctype html>
<html lang="en" data-theme="auto">
<head>
<meta charset="utf-8">
${meta}<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="heapdump-rs">
<link rel="icon" href="data:,">
<title>${escape(title)}</title>
<style>${app.style}</style>
</head>
<body>
<div id="app"><main><h1>${escape(title)}</h1><noscript><p>This page needs JavaScript, which runs within it alone.</p></noscript></main></div>
${data}<script>${app.script}</script>
</body>
</html>
`;
}

/** Nothing is loaded from anywhere, and nothing runs but what is here. */
function policy({ script, style }, connect) {
  const only = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  return [
    "default-src 'none'",
    `script-src ${only(script)}`,
    `style-src ${only(style)}`,
    // For an icon that is none: browsers ask the server for one otherwise.
    'img-src data:',
    `connect-src ${connect}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}

function built() {
  try {
    const read = (name) => fs.readFileSync(path.join(BUILT, name), 'utf8').trimEnd();
    return { script: read('app.js'), style: read('app.css') };
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    throw new Error('the viewer is not built: `npm run build` builds it');
  }
}

/** JSON that is no markup: `</script>` and `<!--` cannot be in it. */
const jsonWithin = (value) => JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);

const ENTITIES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escape = (text) => text.replace(/[&<>"']/g, (sign) => ENTITIES[sign]);

/** The same with less and less of what takes most. */
function* shorter(document) {
  for (let part = 2; part <= 64; part *= 2) {
    const { heap } = document;
    const cut = (rows) => rows.slice(0, Math.ceil(rows.length / part));
    yield {
      ...document,
      heap: {
        ...heap,
        summary: { ...heap.summary, classes: cut(heap.summary.classes) },
        objects: cut(heap.objects),
        strings: { ...heap.strings, strings: cut(heap.strings.strings) },
        packages: { ...heap.packages, shares: cut(heap.packages.shares) },
      },
      trend: document.trend && { ...document.trend, groups: cut(document.trend.groups) },
    };
  }
}

module.exports = { livePage, reportPage };

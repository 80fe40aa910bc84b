'use strict';

// heapdump-rs report: a page about snapshots that can be handed round.

const fs = require('node:fs');
const path = require('node:path');

const { IMAGE_NAME } = require('../extensions.js');
const { documentOf, readDocument, size } = require('../viewer/document.js');
const { Problem, SIGNALS, printable } = require('./command.js');

const help = `Usage: heapdump-rs report FILE [FILE…] -o report.html|report.md|report.json|-

Makes one file that says what is in a snapshot: what holds the memory, suspects, the largest objects, classes, duplicate strings,
packages. With several, the earliest first, also what grew and what leaks. The page opens from disk and loads nothing. Contents of strings
are not in it, unless you ask.

Options:
  -o, --output FILE    where to: .html, .md or .json says what; - is standard output
      --force          replace an older file
      --format FORMAT  html, md or json, where the name does not say
      --json           the same as --format json: it can be made a page later, without the snapshot
      --values         show the contents of strings, and the keys of objects that are used as dictionaries
      --per N          so many units of work (requests, say) were done from one snapshot to the next
      --identity FILE  read encrypted snapshots (.age) with the identities of this file; may be given again
      --salvage        use what is whole of a file that ends too early
      --source-maps    give places in what the scripts were compiled from
      --source-root DIR  look for scripts and their source maps there too

Examples:
  heapdump-rs report heap.heapsnapshot -o report.html
  heapdump-rs report monday.heapsnapshot tuesday.heapsnapshot wednesday.heapsnapshot -o growth.html
  heapdump-rs report heap.heapsnapshot -o report.json && heapdump-rs report report.json -o report.html
`;

const options = {
  output: { type: 'string', short: 'o' },
  force: { type: 'boolean' },
  format: { type: 'string' },
  json: { type: 'boolean' },
  values: { type: 'boolean' },
  per: { type: 'string' },
  salvage: { type: 'boolean' },
  identity: { type: 'string', multiple: true },
  'source-maps': { type: 'boolean' },
  'source-root': { type: 'string' },
};

const FORMATS = {
  html: (document) => require('../viewer/page.js').reportPage(document),
  md: (document) => require('../viewer/markdown.js').reportMarkdown(document),
  json: (document) => `${JSON.stringify(document, null, 1)}\n`,
};

async function main(values, files) {
  if (files.length === 0) throw new Problem('which snapshot? `heapdump-rs report FILE -o report.html`');
  const format = formatOf(values);
  checkOutput(values);
  const document = await read(files, values);
  let text;
  try {
    text = FORMATS[format](document);
  } catch (error) {
    throw new Problem(error.message);
  }
  await write(values.output, text);
}

/** Before anything is read: an older file may be the JSON beside a snapshot. */
function checkOutput({ output, force }) {
  if (force || output === undefined || output === '-' || !fs.existsSync(output)) return;
  throw new Problem(`${output} is there already; --force replaces it`);
}

function formatOf({ output, format, json }) {
  if (json) format = 'json';
  if (output === undefined && format === undefined) throw new Problem('where to? -o report.html, or -o - for standard output');
  format ??= output === '-' ? 'html' : path.extname(output).slice(1).replace(/^htm$/, 'html').replace(/^markdown$/, 'md');
  if (!Object.hasOwn(FORMATS, format)) throw new Problem(`-o must end in .html, .md or .json, or --format say which; got ${printable(output ?? format)}`);
  return format;
}

async function read(files, values) {
  if (files.length === 1 && files[0].endsWith('.json')) return readReport(files[0]);
  if (!files.some((file) => IMAGE_NAME.test(file))) return analyze(files, files, values);
  const { withSnapshots } = require('./images-first.js');
  return withSnapshots(files, (snapshots) => analyze(snapshots, files, values), values);
}

function readReport(file) {
  let text;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (error) {
    throw new Problem(`cannot read ${file}: ${error.code === 'ENOENT' ? 'there is no such file' : printable(error.message)}`);
  }
  try {
    return readDocument(text);
  } catch (error) {
    throw new Problem(`cannot read ${file}: ${error.message}`);
  }
}

/** One call: all is read and computed in it. */
function analyze(snapshots, files, values) {
  const words = ['report', ...snapshots];
  for (const name of ['values', 'salvage', 'source-maps']) if (values[name]) words.push(`--${name}`);
  for (const name of ['per', 'source-root', 'identity']) for (const value of [values[name] ?? []].flat()) words.push(`--${name}=${value}`);
  // Nobody would hear of a signal before it returns.
  for (const signal of SIGNALS) process.removeAllListeners(signal);
  const { code, output } = require('../native.js').addon.captureCommand(words);
  if (code !== 0) process.exit(code);
  return documentOf({ ...JSON.parse(output.toString()), files });
}

async function write(output, text) {
  if (output === undefined || output === '-') {
    process.stdout.write(text);
    return;
  }
  const { writeWhole } = require('../new-file.js');
  try {
    await writeWhole(output, text);
  } catch (error) {
    throw new Problem(`cannot write ${output}: ${printable(error.message)}`);
  }
  process.stderr.write(`${output}: ${size(Buffer.byteLength(text))}\n`);
}

module.exports = { help, options, main, positionals: true };

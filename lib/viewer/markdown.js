'use strict';

// A report as Markdown, for an issue or a chat. Text of a heap stands in code alone, where nothing in it means anything.

const { size } = require('./document.js');

/** @param {import('../analyze.js').Report} document */
function reportMarkdown({ headline, values, files, records, heap, trend, leaks }) {
  const total = heap.summary.totalSize;
  const share = (bytes) => `${((100 * bytes) / (total || 1)).toFixed(1)} %`;
  return [
    `# ${words(headline)}\n`,
    when(records.at(-1), files),
    trend && growth(trend),
    leaks && section('What leaks', leaks.suspects.map(leak).join('\n')),
    section('What the heap is made of', table(['What', 'Size'], composition(heap.statistics))),
    section('Suspects', heap.suspects.suspects.map((suspect) => found(suspect, share)).join('\n') || 'Nothing holds a tenth of the heap by itself.'),
    // Where the analyzer looks for it.
    heap.suspects.inspections?.length > 0 && section('What stands out besides', heap.suspects.inspections.slice(0, 15).map(standsOut).join('\n')),
    section('Largest objects', table(['Object', 'In the code', 'Shallow', 'Retained'], heap.objects.slice(0, 15).map((page) => [
      object(page.object), page.named ? code(page.named.replaceAll('`', '')) : '', size(page.object.shallowSize), size(page.object.retainedSize),
    ]))),
    section('Classes', table(['Class', 'Objects', 'Shallow', 'Retained'], heap.summary.classes.slice(0, 25).map((row) => [
      code(row.name), number(row.count), size(row.shallowSize), size(row.retainedSize),
    ]))),
    heap.packages.shares.length > 1 && section('Packages', table(['Package', 'Objects', 'Own', 'Retained'], heap.packages.shares.slice(0, 15).map((row) => [
      code([row.package, row.version].filter(Boolean).join(' ')), number(row.count), size(row.shallowSize), row.retainedSize === null ? '–' : size(row.retainedSize),
    ]))),
    heap.strings.strings.length > 0 && section('Duplicate strings', table(['Text', 'Strings', 'Wasted'], heap.strings.strings.slice(0, 15).map((row) => [
      values ? code(row.text) : row.text, number(row.count), size(row.wastedSize),
    ]))),
    values ? '' : 'Contents of strings are not in this report; names are.\n',
  ].filter(Boolean).join('\n');
}

function when(record, files) {
  const facts = [`- file: ${files.map(code).join(', ')}`];
  if (record) {
    const { time, reason, program, pid, host, node, memory = {} } = record;
    const of = [memory.heapUsed, memory.heapLimit].filter((bytes) => typeof bytes === 'number').map(size).join(' of ');
    facts.unshift(`- taken: ${code(time)}, because of ${code(reason)}`);
    if (program) facts.push(`- program: ${code(program)}, pid ${code(pid)} on ${code(host)}, Node.js ${code(node)}`);
    if (of) facts.push(`- used heap: ${of}`);
    if (typeof memory.rss === 'number') facts.push(`- resident memory: ${size(memory.rss)}`);
  }
  return `${facts.join('\n')}\n`;
}

function growth({ snapshots, growth: { total, perStep }, groups }) {
  const grown = groups.filter(({ everyStep }) => everyStep).slice(0, 10);
  const rows = grown.map((group) => [code(group.class), group.counts.map(number).join(' → '), group.retainedSizes.map(size).join(' → '), code(group.path.text)]);
  const text = `${snapshots.map(({ totalSize }) => size(totalSize)).join(' → ')}: ${signed(total)}, ${signed(perStep)} a step.\n`;
  return section('Growth', rows.length > 0 ? `${text}\n${table(['Grew in every step', 'Objects', 'Retained', 'Held by'], rows)}` : text);
}

const signed = (bytes) => `${bytes < 0 ? '−' : '+'}${size(Math.abs(Math.round(bytes)))}`;

const leak = ({ what, path, advice, location }, index) =>
  `${index + 1}. ${code(what)}\n   - held by ${code(path.text)}\n${location ? `   - made at ${code(place(location))}\n` : ''}   - ${advice}`;

function found({ class: of, count, retainedSize, object: one, accumulationPoint: point, path }, share) {
  const what = count === 1 ? object(one) : `${number(count)} ${code(of)}, the largest ${object(one)}`;
  const gathers = point && point.id !== one.id ? `, most of it in ${object(point)}` : '';
  return `- **${size(retainedSize)}** (${share(retainedSize)}): ${what}${gathers}\n  - held by ${code(path.text)}`;
}

const standsOut = ({ what, advice, path }) => `- ${code(what)}\n  - held by ${code(path.text)}\n  - ${advice}`;

function composition({ total, native, typedArrays, v8Heap, code: ofCode, strings, jsArrays, system }) {
  const parts = {
    strings, arrays: jsArrays, 'other objects': Math.max(0, v8Heap - ofCode - strings - jsArrays - system),
    code: ofCode, 'V8 itself': system, 'typed arrays and buffers': typedArrays, 'other native memory': native - typedArrays, total,
  };
  return Object.entries(parts).filter(([, bytes]) => bytes > 0).map(([name, bytes]) => [name, size(bytes)]);
}

const section = (title, body) => `## ${title}\n\n${body}\n`;

/** Columns that are no numbers. */
const TEXTS = new Set(['Held by', 'In the code']);

function table(header, rows) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = `|${header.map((title, index) => (index === 0 || TEXTS.has(title) ? ' --- ' : ' ---: ')).join('|')}|`;
  return `${[line(header), rule, ...rows.map(line)].join('\n')}\n`;
}

const object = ({ name, class: of, type, id }) => code(`${type === 'closure' && name ? `${name}()` : name || of} @${id}`);
const place = ({ script, scriptId, line, column }) => `${script ?? `script ${scriptId}`}:${line}:${column}`;
const number = (value) => value.toLocaleString('en-US');

/** A code span: a fence that is not in the text, on one line (CommonMark, 6.1). */
function code(text) {
  const flat = String(text ?? '').replace(/[\p{C}\s]+/gu, ' ').trim() || ' ';
  const longest = Math.max(0, ...[...flat.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return longest > 0 ? `${fence} ${flat} ${fence}` : `${fence}${flat}${fence}`;
}

/** Text with nothing in it that means anything. */
const words = (text) => text.replace(/[\p{C}\s]+/gu, ' ').replace(/[\\`*_{}[\]()#!|<>&~@:/]/g, (sign) => `&#${sign.codePointAt(0)};`);

module.exports = { reportMarkdown };

// Reads a heap snapshot of any size chunk by chunk and says what is wrong with it. No part is kept but one row.

const NONE = 0;
const HEADER_LIMIT = 64 * 1024;

const COMMA = 0x2c;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const isSpace = (byte) => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/** What is wrong, and at which byte (of the decompressed snapshot). */
export class InvalidSnapshot extends Error {
  constructor(message, offset) {
    super(`invalid snapshot at byte ${offset}: ${message}`);
    this.offset = offset;
  }
}

/**
 * A push parser: `write` each chunk, then `end`. Throws {@link InvalidSnapshot} as soon as something is wrong.
 *
 * `onNode(row)` and `onEdge(row)` get each row of numbers in one reused array; `strings: true` keeps the strings.
 */
export class SnapshotScanner {
  #scan = this.#scanHeader;
  #consumed = 0;
  #text = '';
  #counts = { bytes: 0, nodes: 0, edges: 0, strings: 0, edgeSum: 0, maxStringIndex: -1 };
  #sections = [];
  #strings;
  #rows;
  #depth = 0;
  #escape = NONE;
  #inString = false;
  #expectValue = true;
  #piece = [];
  #onNode;
  #onEdge;

  constructor({ onNode, onEdge, strings = false } = {}) {
    this.#onNode = onNode;
    this.#onEdge = onEdge;
    this.#strings = strings ? [] : undefined;
  }

  /** `snapshot` of the file: meta and counts as its header gives them. Known once the header was read. */
  header;

  write(chunk) {
    let at = 0;
    while (at < chunk.length) at = this.#scan(chunk, at);
    this.#consumed += chunk.length;
  }

  /** Counts of the whole file; throws if it is not at its end. */
  end() {
    this.#counts.bytes = this.#consumed;
    if (this.#scan !== this.#scanTrailer) this.#fail(0, `the file ends early, ${this.#describePlace()}`);
    const { nodes, edges, strings, edgeSum, maxStringIndex } = this.#counts;
    const { node_count, edge_count } = this.header;
    if (nodes !== node_count) this.#fail(0, `${nodes} nodes, ${node_count} in the header`);
    if (edges !== edge_count) this.#fail(0, `${edges} edges, ${edge_count} in the header`);
    if (edgeSum !== edges) this.#fail(0, `nodes own ${edgeSum} edges, ${edges} in the file`);
    if (maxStringIndex >= strings) this.#fail(0, `string ${maxStringIndex} of ${strings} is referred to`);
    for (const section of ['nodes', 'edges', 'strings']) {
      if (!this.#sections.includes(section)) this.#fail(0, `no section "${section}"`);
    }
    return { ...this.#counts, header: this.header, strings: strings, stringTable: this.#strings };
  }

  #fail(at, message) {
    throw new InvalidSnapshot(message, this.#consumed + at);
  }

  #describePlace() {
    if (this.header === undefined) return 'inside the header';
    return `in or after "${this.#sections.at(-1)}"`;
  }

  #scanHeader(chunk, at) {
    const before = this.#text.length;
    this.#text += chunk.toString('latin1', at, Math.min(chunk.length, at + HEADER_LIMIT));
    const marker = '"nodes":[';
    const found = this.#text.indexOf(marker);
    if (found < 0) {
      if (this.#text.length > HEADER_LIMIT) this.#fail(at, 'no "nodes" after the header');
      return chunk.length;
    }
    this.#readHeader(`${this.#text.slice(0, found).replace(/,\s*$/, '')}}`);
    this.#text = '';
    this.#enter('nodes', at);
    return at + found + marker.length - before;
  }

  #readHeader(text) {
    try {
      this.header = JSON.parse(text).snapshot;
    } catch (error) {
      this.#fail(0, `the header is not JSON (${error.message})`);
    }
    const { meta, node_count, edge_count } = this.header ?? {};
    for (const count of [node_count, edge_count]) {
      if (!Number.isSafeInteger(count) || count <= 0) this.#fail(0, `a count in the header is ${count}`);
    }
    if (!meta?.node_fields?.length || !meta.edge_fields?.length) this.#fail(0, 'the header names no fields');
  }

  #enter(section, at) {
    if (this.#sections.includes(section)) this.#fail(at, `a second "${section}"`);
    this.#sections.push(section);
    this.#expectValue = true;
    const { meta } = this.header;
    if (section === 'nodes') this.#enterRows(meta.node_fields.length, this.#nodeCheck(meta));
    else if (section === 'edges') this.#enterRows(meta.edge_fields.length, this.#edgeCheck(meta));
    else if (section === 'strings') this.#scan = this.#scanStrings;
    else {
      this.#depth = 1;
      this.#scan = this.#scanOther;
    }
  }

  #enterRows(width, check) {
    this.#rows = { row: new Array(width).fill(0), width, field: 0, value: 0, digits: 0, spaced: false, check };
    this.#scan = this.#scanNumbers;
  }

  #nodeCheck({ node_fields, node_types }) {
    const [type, name, edges] = ['type', 'name', 'edge_count'].map((field) => node_fields.indexOf(field));
    const types = node_types[type].length;
    const counts = this.#counts;
    const onNode = this.#onNode;
    return (row, at) => {
      if (row[type] >= types) this.#fail(at, `node type ${row[type]} of ${types}`);
      if (row[name] > counts.maxStringIndex) counts.maxStringIndex = row[name];
      counts.edgeSum += row[edges];
      counts.nodes += 1;
      onNode?.(row);
    };
  }

  #edgeCheck({ node_fields, edge_fields, edge_types }) {
    const [type, name, target] = ['type', 'name_or_index', 'to_node'].map((field) => edge_fields.indexOf(field));
    const types = edge_types[type].length;
    // The names of these are numbers, not strings.
    const [element, hidden] = ['element', 'hidden'].map((kind) => edge_types[type].indexOf(kind));
    const stride = node_fields.length;
    const end = this.header.node_count * stride;
    const counts = this.#counts;
    const onEdge = this.#onEdge;
    return (row, at) => {
      const kind = row[type];
      const to = row[target];
      if (kind >= types) this.#fail(at, `edge type ${kind} of ${types}`);
      if (to >= end || to % stride !== 0) this.#fail(at, `an edge to ${to}, which is no node`);
      if (kind !== element && kind !== hidden && row[name] > counts.maxStringIndex) counts.maxStringIndex = row[name];
      counts.edges += 1;
      onEdge?.(row);
    };
  }

  #scanNumbers(chunk, at) {
    const state = this.#rows;
    const { row, width, check } = state;
    let { field, value, digits, spaced } = state;
    const { length } = chunk;
    let i = at;
    let closed = false;
    for (; i < length; i++) {
      const byte = chunk[i];
      if (byte >= 0x30 && byte <= 0x39) {
        if (spaced) this.#fail(i, 'a space inside a number');
        value = value * 10 + (byte - 0x30);
        digits++;
      } else if (byte === COMMA || byte === CLOSE) {
        if (digits === 0) this.#fail(i, 'a number is missing');
        row[field++] = value;
        value = digits = 0;
        spaced = false;
        if (field === width) {
          check(row, i);
          field = 0;
        }
        if (byte === CLOSE) {
          closed = true;
          break;
        }
      } else if (isSpace(byte)) {
        spaced = digits > 0;
      } else {
        this.#fail(i, `byte 0x${byte.toString(16)} among numbers`);
      }
    }
    Object.assign(state, { field, value, digits, spaced });
    if (!closed) return i;
    if (field !== 0) this.#fail(i, `the last row of "${this.#sections.at(-1)}" has ${field} numbers of ${width}`);
    this.#scan = this.#scanBetween;
    return i + 1;
  }

  /** `,"name":[` or the closing brace. */
  #scanBetween(chunk, at) {
    for (let i = at; i < chunk.length; i++) {
      const byte = chunk[i];
      if (byte === 0x7d && this.#text === '') {
        this.#scan = this.#scanTrailer;
        return i + 1;
      }
      if (isSpace(byte)) continue;
      this.#text += String.fromCharCode(byte);
      if (byte === OPEN) {
        const section = /^,"(\w+)":\[$/.exec(this.#text)?.[1];
        if (section === undefined) this.#fail(i, `${JSON.stringify(this.#text)} between sections`);
        this.#text = '';
        this.#enter(section, i);
        return i + 1;
      }
      if (this.#text.length > 64) this.#fail(i, `${JSON.stringify(this.#text)} between sections`);
    }
    return chunk.length;
  }

  /** A section that is only passed over: brackets must match. */
  #scanOther(chunk, at) {
    for (let i = at; i < chunk.length; i++) {
      const byte = chunk[i];
      if (this.#inString) {
        if (this.#escape !== NONE) this.#escape = NONE;
        else if (byte === BACKSLASH) this.#escape = 1;
        else if (byte === QUOTE) this.#inString = false;
      } else if (byte === QUOTE) {
        this.#inString = true;
      } else if (byte === OPEN) {
        this.#depth++;
      } else if (byte === CLOSE && --this.#depth === 0) {
        this.#scan = this.#scanBetween;
        return i + 1;
      }
    }
    return chunk.length;
  }

  #scanStrings(chunk, at) {
    let i = at;
    while (i < chunk.length) {
      if (this.#inString) {
        i = this.#scanString(chunk, i);
        continue;
      }
      const byte = chunk[i++];
      if (isSpace(byte)) continue;
      if (byte === QUOTE && this.#expectValue) {
        this.#inString = true;
      } else if (byte === COMMA && !this.#expectValue) {
        this.#expectValue = true;
      } else if (byte === CLOSE && !this.#expectValue) {
        this.#scan = this.#scanBetween;
        return i;
      } else {
        this.#fail(i - 1, `byte 0x${byte.toString(16)} between strings`);
      }
    }
    return i;
  }

  /** The inside of one string, from `at` to behind its closing quote or the end of the chunk. */
  #scanString(chunk, at) {
    let i = at;
    for (; i < chunk.length; i++) {
      const byte = chunk[i];
      if (this.#escape !== NONE) {
        this.#scanEscape(byte, i);
      } else if (byte === BACKSLASH) {
        this.#escape = 1;
      } else if (byte === QUOTE) {
        this.#keep(chunk, at, i);
        this.#finishString();
        return i + 1;
      } else if (byte < 0x20) {
        this.#fail(i, 'a control character inside a string');
      }
    }
    this.#keep(chunk, at, i);
    return i;
  }

  /** After a backslash (1), or so many digits of \uXXXX less one (5 to 2). */
  #scanEscape(byte, at) {
    if (this.#escape === 1) {
      if (!'"\\/bfnrtu'.includes(String.fromCharCode(byte))) this.#fail(at, 'an unknown escape in a string');
      this.#escape = byte === 0x75 ? 5 : NONE;
      return;
    }
    const lower = byte | 0x20;
    if (!((byte >= 0x30 && byte <= 0x39) || (lower >= 0x61 && lower <= 0x66))) this.#fail(at, 'a broken \\u escape');
    this.#escape = this.#escape === 2 ? NONE : this.#escape - 1;
  }

  #keep(chunk, from, to) {
    if (this.#strings !== undefined && to > from) this.#piece.push(Buffer.from(chunk.subarray(from, to)));
  }

  #finishString() {
    this.#inString = false;
    this.#expectValue = false;
    this.#counts.strings += 1;
    if (this.#strings === undefined) return;
    this.#strings.push(JSON.parse(`"${Buffer.concat(this.#piece).toString()}"`));
    this.#piece.length = 0;
  }

  #scanTrailer(chunk, at) {
    for (let i = at; i < chunk.length; i++) {
      if (!isSpace(chunk[i])) this.#fail(i, `byte 0x${chunk[i].toString(16)} behind the end`);
    }
    return chunk.length;
  }
}

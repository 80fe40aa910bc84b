'use strict';

// Whether bytes that pass by are a whole heap snapshot: its rows are counted against its header, and it must end as V8
// ends it. In constant memory, because the machine that is looked at may have none to spare; `heapdump-rs validate`
// looks at every field.

const { Problem, printable } = require('./command.js');

const COMMA = 0x2c;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = 0x20;
const HEADER_LIMIT = 64 * 1024;

/** A push parser: `write` every chunk, then `end`. Throws a Problem that says what is wrong. */
class Completeness {
  #state = this.#header;
  #text = '';
  #section = 'nodes';
  #commas = 0;
  #depth = 1;
  #inString = false;
  #escaped = false;
  bytes = 0;
  #counts;

  write(chunk) {
    this.bytes += chunk.length;
    for (let at = 0; at < chunk.length;) at = this.#state(chunk, at);
  }

  /** What the whole file holds. */
  end() {
    if (this.bytes === 0) throw new Problem('no byte of a snapshot came');
    if (this.#counts === undefined) this.#isNone();
    if (this.#depth > 0) throw new Problem(`the snapshot is cut off after ${this.bytes} bytes`);
    return { bytes: this.bytes, nodes: this.#counts.nodes.rows, edges: this.#counts.edges.rows };
  }

  #isNone() {
    throw new Problem(`this is no heap snapshot: it begins with ${printable(JSON.stringify(this.#text.slice(0, 40)))}`);
  }

  #header(chunk, at) {
    const before = this.#text.length;
    this.#text += chunk.toString('latin1', at, at + HEADER_LIMIT);
    const marker = '"nodes":[';
    const found = this.#text.indexOf(marker);
    const known = '{"snapshot":';
    if (!known.startsWith(this.#text.slice(0, known.length)) || (found < 0 && this.#text.length > HEADER_LIMIT))
      this.#isNone();
    if (found < 0) return chunk.length;
    try {
      const { snapshot } = JSON.parse(`${this.#text.slice(0, found).replace(/,\s*$/, '')}}`);
      this.#counts = {
        nodes: { rows: snapshot.node_count, width: snapshot.meta.node_fields.length },
        edges: { rows: snapshot.edge_count, width: snapshot.meta.edge_fields.length },
      };
    } catch {
      this.#isNone();
    }
    this.#state = this.#numbers;
    return at + found + marker.length - before;
  }

  #numbers(chunk, at) {
    let commas = this.#commas;
    let i = at;
    while (i < chunk.length && chunk[i] !== CLOSE) if (chunk[i++] === COMMA) commas++;
    this.#commas = commas;
    if (i === chunk.length) return i;
    const { rows, width } = this.#counts[this.#section];
    if (commas + 1 !== rows * width) {
      throw new Problem(`${commas + 1} numbers of ${this.#section} are there, and ${rows * width} were announced`);
    }
    this.#text = '';
    this.#commas = 0;
    this.#state = this.#section === 'nodes' ? this.#between : this.#rest;
    return i + 1;
  }

  #between(chunk, at) {
    const end = Math.min(chunk.length, at + 1);
    this.#text += chunk.toString('latin1', at, end);
    if (this.#text.length > 64) throw new Problem('no edges follow the nodes of the snapshot');
    if (/"edges":\[$/.test(this.#text)) {
      this.#section = 'edges';
      this.#state = this.#numbers;
    }
    return end;
  }

  /** Strings may hold anything; brackets outside of them close what was opened. */
  #rest(chunk, at) {
    let i = at;
    while (i < chunk.length) {
      const byte = chunk[i++];
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === BACKSLASH) this.#escaped = true;
        else if (byte === QUOTE) this.#inString = false;
      } else if (byte === QUOTE) {
        this.#inString = true;
      } else if (byte === OPEN || byte === OPEN_BRACE) {
        this.#depth++;
      } else if (byte === CLOSE || byte === CLOSE_BRACE) {
        this.#depth--;
      }
      if (this.#depth <= 0 && byte > SPACE && byte !== CLOSE_BRACE)
        throw new Problem('something follows the end of the snapshot');
    }
    return i;
  }
}

module.exports = { Completeness };

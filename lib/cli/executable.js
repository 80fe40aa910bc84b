'use strict';

// Whether a file is Node.js, whatever it is called: by what is in it.

const fs = require('node:fs');

/** Node's own entry point, a dynamic symbol of every executable or library that is Node: `node::Start(int, char**)`. */
const NODE_START = '_ZN4node5StartEiPPc';
/** Of a single-executable application (node_sea.cc); the digit is 0 in Node.js itself. */
const SINGLE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2:1';

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const DT_STRTAB = 5n;
const DT_STRSZ = 10n;

/** In bytes. An executable is anybody's, and may be of any size (a sparse file). Those of Node.js are 100 MB, with 5 MB of names. */
const MOST_NAMES = 64 << 20;
const MOST_OF_OTHER_FORMS = 256 << 20;
const MOST_OF_APPLICATIONS = 1 << 30;

/** By device and inode: many processes run one file. */
const known = new Map();

/** Whether the executable of a process is Node.js, or links it. */
function isNode(file) {
  const mine = fs.statSync('/proc/self/exe');
  const its = fs.statSync(file);
  if (its.dev === mine.dev && its.ino === mine.ino) return true;
  const id = `${its.dev}:${its.ino}`;
  if (!known.has(id)) known.set(id, within(file, (descriptor) => holds(descriptor, NODE_START, dynamicStrings(descriptor))));
  return known.get(id);
}

/** Whether it has an application, and perhaps options for Node.js, in itself; what is too big to be read may have. */
const isSingleApplication = (file) =>
  within(
    file,
    (descriptor) =>
      fs.fstatSync(descriptor).size > MOST_OF_APPLICATIONS || holds(descriptor, SINGLE, { at: 0, size: MOST_OF_APPLICATIONS }),
  );

function within(file, body) {
  const descriptor = fs.openSync(file, 'r');
  try {
    return body(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** `{at, size}` of the names of its dynamic symbols (elf(5)); the file from its beginning where it is of another form. */
function dynamicStrings(descriptor) {
  const header = read(descriptor, 0, 64);
  // 64 bits, the lower byte first: all that Node.js is published for.
  if (header.toString('latin1', 0, 6) !== '\x7fELF\x02\x01') return { at: 0, size: MOST_OF_OTHER_FORMS };
  const size = header.readUInt16LE(54);
  const segments = read(descriptor, Number(header.readBigUInt64LE(32)), size * header.readUInt16LE(56));
  const loaded = [];
  let dynamic;
  for (let at = 0; at + 56 <= segments.length; at += size) {
    const segment = {
      offset: Number(segments.readBigUInt64LE(at + 8)),
      address: Number(segments.readBigUInt64LE(at + 16)),
      size: Number(segments.readBigUInt64LE(at + 32)),
    };
    const type = segments.readUInt32LE(at);
    if (type === PT_LOAD) loaded.push(segment);
    else if (type === PT_DYNAMIC) dynamic ??= read(descriptor, segment.offset, segment.size);
  }
  // Linked statically: no Node.js that could load an addon.
  if (dynamic === undefined) return { at: 0, size: 0 };
  const value = (tag) => {
    for (let at = 0; at + 16 <= dynamic.length; at += 16) {
      if (dynamic.readBigInt64LE(at) === tag) return Number(dynamic.readBigUInt64LE(at + 8));
    }
    return 0;
  };
  const address = value(DT_STRTAB);
  const from = loaded.find((segment) => address >= segment.address && address < segment.address + segment.size);
  if (from === undefined) return { at: 0, size: MOST_OF_OTHER_FORMS };
  return { at: address - from.address + from.offset, size: Math.min(value(DT_STRSZ), MOST_NAMES) };
}

function read(descriptor, at, size) {
  const bytes = Buffer.alloc(Math.min(size, 1 << 20));
  return bytes.subarray(0, fs.readSync(descriptor, bytes, 0, bytes.length, at));
}

/** Whether `text` is in a part of a file. */
function holds(descriptor, text, { at, size }) {
  const wanted = Buffer.from(text);
  const chunk = Buffer.alloc(1 << 20);
  const end = at + size;
  let kept = 0;
  while (at < end) {
    const length = fs.readSync(descriptor, chunk, kept, Math.min(chunk.length - kept, end - at), at);
    if (length === 0) return false;
    at += length;
    const filled = kept + length;
    if (chunk.subarray(0, filled).includes(wanted)) return true;
    kept = Math.min(filled, wanted.length - 1);
    chunk.copyWithin(0, filled - kept, filled);
  }
  return false;
}

module.exports = { isNode, isSingleApplication };

'use strict';

// TCP sockets that somebody listens on, as /proc/net shows them (proc(5)): of which process, a descriptor's inode says.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/** Listening sockets of tcp and tcp6. */
function listening(directory) {
  const sockets = [];
  for (const name of ['tcp', 'tcp6']) {
    let text = '';
    try {
      text = fs.readFileSync(path.join(directory, name), 'utf8');
    } catch {
      // No IPv6 here.
    }
    for (const line of text.split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      // 0A is TCP_LISTEN.
      if (fields[3] !== '0A') continue;
      const [address, port] = fields[1].split(':');
      sockets.push({ host: readAddress(address), port: Number.parseInt(port, 16), inode: fields[9] });
    }
  }
  return sockets;
}

/** Words of four bytes, each in the machine's order. */
function readAddress(text) {
  const bytes = Buffer.from(text, 'hex');
  if (os.endianness() === 'LE') bytes.swap32();
  if (bytes.length === 4) return bytes.join('.');
  return Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16)).join(':');
}

module.exports = { listening };

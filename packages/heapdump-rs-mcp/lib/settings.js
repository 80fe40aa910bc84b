// What the person who starts the server allows. An assistant can change none of it.

import fs from 'node:fs';
import { parseArgs } from 'node:util';

export const HELP = `heapdump-rs-mcp: an MCP server that answers questions about V8 heap snapshots

Usage: heapdump-rs-mcp [--root DIR]... [--identity FILE]... [--values] [--allow-capture]

Options:
  --root DIR        Snapshots below this directory may be read; may be given again (default: the current directory)
  --identity FILE   Read encrypted snapshots (.age) with the identities of this file; may be given again
  --values          Show what strings of the heap contain; without it, how long they are
  --allow-capture   Snapshots may be taken of this user's running Node.js processes; they go into the first root
  -h, --help        Print help`;

/**
 * @param {string[]} args
 * @returns {{roots: string[], identities: string[], values: boolean, capture: boolean, help: boolean}} with real paths
 */
export function readSettings(args) {
  const { values } = parseArgs({
    args,
    options: {
      root: { type: 'string', multiple: true, default: ['.'] },
      identity: { type: 'string', multiple: true, default: [] },
      values: { type: 'boolean', default: false },
      'allow-capture': { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const roots = values.root.map((directory) => {
    if (!fs.statSync(directory, { throwIfNoEntry: false })?.isDirectory()) throw new Error(`--root ${directory} is no directory`);
    return fs.realpathSync(directory);
  });
  const identities = values.identity.map((file) => {
    if (!fs.statSync(file, { throwIfNoEntry: false })?.isFile()) throw new Error(`--identity ${file} is no file`);
    return fs.realpathSync(file);
  });
  return { roots, identities, values: values.values, capture: values['allow-capture'], help: values.help };
}

// Which files may be read: those below a root, wherever links lead.

import fs from 'node:fs';
import path from 'node:path';

import { Problem } from './problem.js';

/** The real path of a file that may be read, and is none of the `secret` ones. A relative one is looked for in each root. */
export function allowedFile(roots, file, secret) {
  const tried = path.isAbsolute(file) ? [file] : roots.map((root) => path.join(root, file));
  for (const candidate of tried) {
    const real = realPath(candidate);
    if (real === undefined || secret.includes(real) || !roots.some((root) => isBelow(root, real))) continue;
    // A FIFO or a device is never opened.
    if (!fs.statSync(real).isFile()) throw new Problem(`${file} is no file`);
    return real;
  }
  // The same words for what is not there and for what is elsewhere: what exists outside is nobody's business.
  throw new Problem(`there is no file ${file} below ${roots.join(', ')}; --root allows another directory`);
}

function realPath(file) {
  try {
    return fs.realpathSync(file);
  } catch {
    return undefined;
  }
}

function isBelow(root, file) {
  const way = path.relative(root, file);
  return way !== '' && !way.startsWith(`..${path.sep}`) && way !== '..' && !path.isAbsolute(way);
}

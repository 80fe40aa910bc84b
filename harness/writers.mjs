// Who is still writing into a directory, as /proc shows it: a file that is not complete has no name, or a temporary one.

import fs from 'node:fs';

/** Whether some process has a file of `directory` open that is not complete. */
export function isBeingWritten(directory) {
  const start = `${fs.realpathSync(directory)}/`;
  return fs.readdirSync('/proc').some((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return fs.readdirSync(`/proc/${pid}/fd`).some((number) => isIncomplete(`/proc/${pid}/fd/${number}`, start));
    } catch {
      return false; // It has ended, or is somebody else's.
    }
  });
}

function isIncomplete(link, start) {
  try {
    const file = fs.readlinkSync(link);
    // Where a complete file was made without a name, its link goes on saying so.
    return file.startsWith(start) && (file.endsWith('.tmp') || (file.endsWith(' (deleted)') && fs.statSync(link).nlink === 0));
  } catch {
    return false; // Closed meanwhile.
  }
}

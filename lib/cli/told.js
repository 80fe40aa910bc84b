'use strict';

// What a process was told to hide (NODE_HEAPDUMP_OPTIONS: redact, encrypt=age1…) is hidden as well where another program takes the
// snapshot of it: from outside, or by its inspector.

const { Problem } = require('./command.js');

/** Throws a Problem where what it was told is not asked for here, which says what to ask for. */
function refuseWhatIsHidden(target, output) {
  const { redact, recipients } = toldOf(target);
  const missing = [];
  // Nothing is taken out of an image: those may read it whom the process has named, or there is none.
  if (redact && output.wantsImage && recipients.length === 0) {
    throw new Problem(`process ${target.pid} was told to hide the texts in its snapshots (NODE_HEAPDUMP_OPTIONS), and an image of it would hold them: ask for a .heapsnapshot, with --redact`);
  }
  if (redact && !output.redacts && !output.wantsImage) missing.push('--redact');
  if (recipients.length > 0 && !output.encrypts) missing.push(...recipients.map((recipient) => `--encrypt-to ${recipient}`));
  if (missing.length === 0) return;
  throw new Problem(`process ${target.pid} was told to hide what is in its snapshots (NODE_HEAPDUMP_OPTIONS): the same is to be said here: ${missing.join(' ')}`);
}

/** As it says of itself, and as it was started: the package need not be loaded. What is no recipient may be a secret key. */
function toldOf(target) {
  const facts = target.facts();
  const words = (target.variable('NODE_HEAPDUMP_OPTIONS') ?? '').split(',').map((word) => word.trim());
  const redact = facts?.redact !== undefined || words.some((word) => /^redact(=|$)/.test(word));
  const said = words.filter((word) => /^encrypt(=|$)/.test(word)).map((word) => word.slice('encrypt='.length));
  const recipients = [...new Set([...(facts?.encrypt ?? []), ...said])].map((recipient) => (/^age1[a-z0-9]+$/.test(recipient) ? recipient : 'age1…'));
  return { redact, recipients };
}

module.exports = { refuseWhatIsHidden };

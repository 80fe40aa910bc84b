'use strict';

// What a process was told to hide (NODE_HEAPDUMP_OPTIONS: redact, encrypt=age1…) is hidden as well where another program takes the
// snapshot of it: from outside, or by its inspector.

const { Problem } = require('./command.js');

/** Throws a Problem where what it was told is not asked for here, which says what to ask for. */
function refuseWhatIsHidden(target, output) {
  const { redact, recipients } = toldOf(target);
  const missing = [];
  // Of an image nothing is taken out: it is encrypted, or there is none.
  const isSealedImage = output.wantsImage && output.encrypts;
  if (redact && !output.redacts && !isSealedImage) missing.push('--redact');
  if (recipients.length > 0 && !output.encrypts) missing.push(...recipients.map((recipient) => `--encrypt-to ${recipient}`));
  if (missing.length === 0) return;
  const what = output.wantsImage ? 'an image of it would hold everything: it is to be encrypted (--encrypt-to age1…), or of a .heapsnapshot' : 'the same is to be said here:';
  throw new Problem(`process ${target.pid} was told to hide what is in its snapshots (NODE_HEAPDUMP_OPTIONS): ${what} ${missing.join(' ')}`);
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

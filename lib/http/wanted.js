'use strict';

// What a request over HTTP wants: a snapshot or an image, compressed or not, as far as the server's owner allows it.

const { recipientsOf } = require('../encrypt.js');

const CHOICES = { output: ['snapshot', 'image'], embed: ['auto', 'all'] };

/** What a client asks for by `?output=image` (`&embed=all`); nothing else in the query means anything. */
function wantedOf({ url }) {
  const query = new URLSearchParams(/\?(.*)$/s.exec(url ?? '')?.[1]);
  return Object.fromEntries([...query].filter(([name, value]) => Object.hasOwn(CHOICES, name) && CHOICES[name].includes(value)));
}

/** An image holds more secrets than a snapshot, so it is not for a client to choose unless the server's owner says so. */
function refuseWanted({ output }, isAllowed) {
  if (output !== 'image' || isAllowed) return undefined;
  return { status: 403, reason: 'images are off here: they hold all memory of the process (option images)' };
}

/**
 * `accept` compresses the transfer, for a client that decompresses it again; a file is compressed only when asked for. An image
 * is compressed as a file, unless that is forbidden: nothing decompresses zstd on its way everywhere.
 */
function compressionOf(compress, { output, encryptTo }, request, isStreamed) {
  if (output === 'image') return compress ? { compress: 'zstd' } : {};
  if (compress !== 'accept') return compress ? { compress } : {};
  // Nobody on the way can decompress what is encrypted.
  if (recipientsOf(encryptTo) !== undefined) return { compress: 'gzip' };
  return isStreamed && acceptsGzip(request.headers['accept-encoding']) ? { compress: 'gzip', encoding: 'gzip' } : {};
}

function acceptsGzip(header = '') {
  const words = header.toLowerCase().split(',').map((word) => word.split(';').map((part) => part.trim()));
  return words.some(([coding, q]) => coding === 'gzip' && !/^q=0(\.0*)?$/.test(q ?? ''));
}

module.exports = { compressionOf, refuseWanted, wantedOf };

'use strict';

// What a request over HTTP wants: a snapshot or an image, compressed or not, as far as the server's owner allows it.

/** What a client asks for by `?output=image` (`&embed=all`); the last one counts. */
function wantedOf({ url }) {
  const query = new URLSearchParams(/\?(.*)$/s.exec(url ?? '')?.[1]);
  return Object.fromEntries(['output', 'embed'].filter((name) => query.has(name)).map((name) => [name, query.getAll(name).at(-1)]));
}

/** An image holds more secrets than a snapshot, so it is not for a client to choose unless the server's owner says so. */
function refuseWanted({ output, embed }, isAllowed) {
  if (!['snapshot', 'image', undefined].includes(output)) return { status: 400, reason: 'output is snapshot or image' };
  if (!['auto', 'all', undefined].includes(embed)) return { status: 400, reason: 'embed is auto or all' };
  if (output !== 'image' || isAllowed) return undefined;
  return { status: 403, reason: 'images are off here: they hold all memory of the process (option images)' };
}

/**
 * `accept` compresses the transfer, for a client that decompresses it again; a file is compressed only when asked for. An image
 * is compressed as a file, unless that is forbidden: nothing decompresses zstd on its way everywhere.
 */
function compressionOf(compress, { output }, request, isStreamed) {
  if (output === 'image') return compress ? { compress: 'zstd' } : {};
  if (compress !== 'accept') return compress ? { compress } : {};
  return isStreamed && acceptsGzip(request.headers['accept-encoding']) ? { compress: 'gzip', encoding: 'gzip' } : {};
}

function acceptsGzip(header = '') {
  const words = header.toLowerCase().split(',').map((word) => word.split(';').map((part) => part.trim()));
  return words.some(([coding, q]) => coding === 'gzip' && !/^q=0(\.0*)?$/.test(q ?? ''));
}

module.exports = { compressionOf, refuseWanted, wantedOf };

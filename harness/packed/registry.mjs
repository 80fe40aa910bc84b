// A registry on this machine that has only the given tarballs: what package managers would meet after publishing.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { basename } from 'node:path';
import { gunzipSync } from 'node:zlib';

/**
 * @param {string[]} tarballs
 * @param {string} [upstream] the registry that has all other packages
 * @returns {Promise<{url: string, requested: string[], close: () => Promise<void>}>} `requested`: names of tarballs
 */
export async function startRegistry(tarballs, upstream) {
  const requested = [];
  const packages = new Map();
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url.slice(1));
    const tarball = tarballs.find((file) => basename(file) === path);
    const manifest = packages.get(path);
    if (tarball) requested.push(path);
    if (!tarball && !manifest && upstream) response.writeHead(307, { location: upstream + request.url.slice(1) }).end();
    else if (!tarball && !manifest) response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":"not found"}');
    else if (tarball) response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(readFileSync(tarball));
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(manifest));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${server.address().port}/`;
  for (const file of tarballs) {
    const bytes = readFileSync(file);
    const manifest = JSON.parse(filesOf(bytes).get('package/package.json'));
    const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
    const shasum = createHash('sha1').update(bytes).digest('hex');
    const dist = { tarball: `${url}${basename(file)}`, integrity, shasum };
    const { name, version } = manifest;
    packages.set(name, {
      name,
      'dist-tags': { latest: version },
      versions: { [version]: { ...manifest, dist } },
      time: { [version]: '2026-01-01T00:00:00.000Z' },
    });
  }
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { url, requested, close };
}

/** The files in a tarball that npm made: names and contents. */
export function filesOf(bytes) {
  const tar = gunzipSync(bytes);
  const files = new Map();
  const text = (from, length) => tar.toString('utf8', from, from + length).replace(/\0.*$/s, '');
  let at = 0;
  // An empty name is the end; npm writes names over 100 characters in two parts, which there are none of here.
  while (tar[at] !== 0) {
    const size = Number.parseInt(text(at + 124, 12), 8);
    files.set(text(at, 100), tar.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

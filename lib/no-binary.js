'use strict';

// What is told where no binary loads: the platform, what was tried, what to do.

/** Keep it in step with package.json's optionalDependencies. */
const PLATFORMS = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64', 'win32-x64', 'win32-arm64'];

/**
 * @param {string} platform this one, such as `linux-x64`
 * @param {{name: string, error: Error}[]} tried
 */
function noBinary(platform, tried) {
  const lines = tried.map(({ name, error }) => `  ${name}: ${String(error?.message ?? error).split('\n', 1)[0]}`);
  const error = new Error(
    `heapdump-rs has no binary that loads on ${platform} with ${runtime()}. Tried:\n${lines.join('\n')}\n` +
      `${advice(platform, tried)}`,
  );
  return Object.assign(error, { code: 'ERR_HEAPDUMP_NO_BINARY' });
}

function runtime() {
  const { bun, deno, electron, node } = process.versions;
  if (bun) return `Bun ${bun}`;
  if (deno) return `Deno ${deno}`;
  return electron ? `Electron ${electron}` : `Node.js ${node}`;
}

function advice(platform, tried) {
  const source = 'build it from source: https://github.com/heapdump-rs/heapdump-rs#from-source';
  if (!PLATFORMS.includes(platform)) return `There are binaries for ${PLATFORMS.join(', ')}. Elsewhere, ${source}`;
  const absent = ({ name, error }) => error?.code === 'MODULE_NOT_FOUND' && error.message.includes(name);
  if (tried.every(absent)) {
    return (
      "This platform's package, an optional dependency, is not installed. Install again on this platform, without " +
      '--omit=optional, --no-optional or --ignore-optional and without a node_modules or lock file made on another one.'
    );
  }
  const needs = { linux: 'glibc 2.17 or later, or musl 1.2, and ', win32: 'Windows 10 or later and ' }[platform.split('-')[0]] ?? '';
  return (
    `This platform's package is there but does not load: it needs ${needs}this very processor architecture. ` +
    `Where that is not the reason, ${source}`
  );
}

module.exports = { noBinary };

'use strict';

// What is told where no binary loads: the platform, what was tried, what to do.

/** Keep it in step with package.json's optionalDependencies. */
const PLATFORMS = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64', 'win32-x64', 'win32-arm64'];
const HOME = 'https://github.com/heapdump-rs/heapdump-rs';
const SOURCE = `build it from source: ${HOME}#from-source`;
const BUNDLERS = `${HOME}/blob/main/docs/bundlers.md`;

/**
 * Its first line says what to do.
 * @param {string} platform this one, such as `linux-x64`
 * @param {{name: string, error: Error}[]} tried
 */
function noBinary(platform, tried) {
  const lines = tried.map(({ name, error }) => `\n  ${name}: ${String(error?.message ?? error).split('\n', 1)[0]}`);
  const error = new Error(
    `heapdump-rs has no binary that loads on ${platform} with ${runtime()}. ${advice(platform, tried)}` +
      (lines.length > 0 ? `\nTried:${lines.join('')}` : ''),
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
  const refused = tried.find(({ error }) => REFUSED.includes(error?.code));
  if (refused) return flags(refused.error);
  if (tried.some(({ error }) => isBundlers(error))) {
    return `A bundler has made this program, and here a binary cannot be required: leave heapdump-rs outside of the bundle. ${BUNDLERS} says how`;
  }
  if (!PLATFORMS.includes(platform)) return `There are binaries for ${PLATFORMS.join(', ')}. Elsewhere, ${SOURCE}`;
  const absent = ({ name, error }) => error?.code === 'MODULE_NOT_FOUND' && error.message.includes(name);
  if (tried.every(absent)) {
    return (
      "This platform's package, an optional dependency, is not installed. Install again on this platform, without " +
      '--omit=optional, --no-optional or --ignore-optional and without a node_modules or lock file made on another one. ' +
      `Where a bundler or a tracer left it out: ${BUNDLERS}`
    );
  }
  const needs = { linux: 'glibc 2.17 or later, or musl 1.2, and ', win32: 'Windows 10 or later and ' }[platform.split('-')[0]] ?? '';
  return (
    `This platform's package is there but does not load: it needs ${needs}this very processor architecture. ` +
    `Where that is not the reason, ${SOURCE}`
  );
}

/** Node's own refusals (doc/api/permissions.md, doc/api/cli.md): no other binary would load either. */
const REFUSED = ['ERR_DLOPEN_DISABLED', 'ERR_ACCESS_DENIED'];

function flags({ code, resource }) {
  if (code === 'ERR_ACCESS_DENIED') {
    return `Node's permission model (--permission) does not let the binary be read: start Node.js with --allow-fs-read=${resource || '<node_modules>'} as well`;
  }
  // Not by `process.permission.has('addon')`: Node.js 20 does not know that scope.
  const told = [...process.execArgv, ...(process.env.NODE_OPTIONS ?? '').split(/\s+/)];
  const missing = process.permission !== undefined && !told.includes('--allow-addons');
  return [
    missing && "Node's permission model (--permission) allows no addons: start Node.js with --allow-addons as well",
    (!missing || told.includes('--no-addons')) &&
      "Addons are turned off: take --no-addons out of Node.js' command line, NODE_OPTIONS or the worker's execArgv",
  ]
    .filter(Boolean)
    .join('. ');
}

/** What a bundler made of `require`: an ES module has neither it nor `__dirname`, a single executable's knows only built-in modules. */
function isBundlers(error) {
  if (error?.code === 'ERR_UNKNOWN_BUILTIN_MODULE') return true;
  return /^(?:require|__dirname|__filename) is not defined|^Dynamic require of /.test(error?.message ?? '');
}

module.exports = { noBinary, isBundlers };

// Whether the documents keep up: every error code of the sources is in docs/errors.md and in index.d.ts, every page
// is in the list of docs/README.md, and links between the documents lead somewhere.

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { root } from '../harness/run.mjs';

const read = (file) => readFileSync(join(root, file), 'utf8');

/** Says what is missing; gives whether nothing is. */
export function checkDocuments() {
  const problems = [...missingCodes('docs/errors.md'), ...missingCodes('index.d.ts'), ...unlistedPages(), ...brokenLinks()];
  for (const problem of problems) console.log(problem);
  return problems.length === 0;
}

function missingCodes(document) {
  const sources = ['src/error.rs', 'index.js'];
  for (const file of readdirSync(join(root, 'lib'), { recursive: true })) if (file.endsWith('.js')) sources.push(`lib/${file}`);
  const codes = new Set(sources.flatMap((file) => read(file).match(/\b(ERR_[A-Z_]+|ABORT_ERR)\b/g) ?? []));
  // Node's own: recognised, never given.
  const others = ['ERR_STREAM_PREMATURE_CLOSE', 'ERR_INSPECTOR_ALREADY_CONNECTED', 'ERR_DLOPEN_DISABLED', 'ERR_UNKNOWN_BUILTIN_MODULE'];
  for (const code of others) codes.delete(code);
  const text = read(document);
  return [...codes].filter((code) => !text.includes(code)).map((code) => `${document} does not tell of ${code}`);
}

const pages = () => readdirSync(join(root, 'docs')).filter((file) => file.endsWith('.md'));

function unlistedPages() {
  const list = read('docs/README.md');
  const unlisted = pages().filter((page) => page !== 'README.md' && !list.includes(`](${page})`));
  return unlisted.map((page) => `docs/README.md does not list ${page}`);
}

function brokenLinks() {
  const problems = [];
  const documents = ['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', 'CONTRIBUTING.md', ...pages().map((page) => `docs/${page}`)];
  for (const document of documents) {
    const text = read(document);
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [file, heading] = target.split('#');
      const path = file === '' ? document : join(dirname(document), file);
      const found = existsSync(join(root, path)) && (heading === undefined || anchors(path).includes(heading));
      if (!found) problems.push(`${document}: ${target} leads nowhere`);
    }
  }
  return problems;
}

const anchors = (document) => [...read(document).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => anchor(heading));

/** As GitHub makes them. */
const anchor = (heading) => heading.toLowerCase().replace(/[^\w\- ]/g, '').replaceAll(' ', '-');

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exitCode = checkDocuments() ? 0 : 1;
}

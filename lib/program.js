'use strict';

// What this process runs, by its main script: for the record of a snapshot, and to know a package manager.

const { readFileSync, realpathSync, statSync } = require('node:fs');
const path = require('node:path');
const { getEnvironmentData, isMainThread, setEnvironmentData } = require('node:worker_threads');

/** Where worker threads find it: their own command line begins with their own script. */
const KEY = 'heapdump-rs.program';
/** `node -e CODE word`: the word is no script. */
const EVALUATED = /^(?:-e|-p|-pe|--eval|--print)(?:=|$)/;
const PACKAGE_MANAGERS = ['npm', 'npx', 'pnpm', 'yarn', '@yarnpkg/cli', '@yarnpkg/cli-dist', 'corepack'];
/** Yarn's own file, committed in a project (`yarnPath`). */
const YARN_RELEASE = /[\\/]\.yarn[\\/]releases[\\/]yarn-[^\\/]+\.[cm]?js$/;

/**
 * The main script, absolute; undefined where there is none. Links are left as they are: of a deployment that moves its
 * link `current` every release is the same program.
 */
function program() {
  if (!isMainThread) return getEnvironmentData(KEY);
  const [, script] = process.argv;
  if (script === undefined || process.execArgv.some((word) => EVALUATED.test(word))) return undefined;
  const found = path.resolve(script);
  setEnvironmentData(KEY, found);
  return found;
}

/** Whether a script is a package manager's own, by the package that it really lies in. */
function isPackageManager(script) {
  let file;
  try {
    file = realpathSync(script);
  } catch {
    return false;
  }
  if (YARN_RELEASE.test(file)) return true;
  for (let directory = file; ; directory = path.dirname(directory)) {
    // What corepack has fetched; Yarn's has no package.json.
    if (isFile(path.join(directory, '.corepack'))) return true;
    const name = nameOfPackage(directory);
    if (name !== undefined) return PACKAGE_MANAGERS.includes(name);
    if (path.dirname(directory) === directory) return false;
  }
}

/** Node's permission model may keep it from being seen. */
function isFile(file) {
  try {
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

function nameOfPackage(directory) {
  try {
    return JSON.parse(readFileSync(path.join(directory, 'package.json'), 'utf8')).name;
  } catch {
    return undefined;
  }
}

module.exports = { program, isPackageManager };

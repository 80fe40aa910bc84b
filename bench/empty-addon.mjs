// The least that a native package can be: an empty Node-API addon, compiled here, to compare `require` with.

import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const SOURCE = `
/* What node_api.h declares, without its headers: they are not part of every installation. */
typedef struct napi_env__ *napi_env;
typedef struct napi_value__ *napi_value;
__attribute__((visibility("default"))) int node_api_module_get_api_version_v1(void) { return 9; }
__attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  (void)env;
  return exports;
}
`;

/** Writes and compiles the package into `directory`; gives the path of its entry, or undefined without a compiler. */
export function buildEmptyAddon(directory) {
  mkdirSync(directory, { recursive: true });
  const source = join(directory, 'empty.c');
  const entry = join(directory, 'index.js');
  writeFileSync(source, SOURCE);
  writeFileSync(entry, "'use strict';\nmodule.exports = require('./empty.node');\n");
  const args = ['-shared', '-fPIC', '-O2', '-o', join(directory, 'empty.node'), source];
  const { status } = spawnSync(process.env.CC ?? 'cc', args, { stdio: 'ignore' });
  return status === 0 ? entry : undefined;
}

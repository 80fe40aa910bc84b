// What people start an application with. Its pid is enough: the snapshot is the application's.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { validateSnapshot } from '../../harness/validate.mjs';
import { ROOT, startProgram } from '../support/app.mjs';
import { runCommand } from '../support/command.mjs';
import { makeTemporaryDirectory } from '../support/files.mjs';

const bin = (name) => path.join(process.env.NEIGHBOURS, 'node_modules/.bin', name);

const source = `
  require(${JSON.stringify(ROOT)});
  globalThis.mark = new (class MarkOfApp {})();
  setInterval(() => {}, 1000);
  console.log('up ' + process.pid);`;

for (const [name, command] of Object.entries({
  nodemon: ['nodemon', '--signal', 'SIGTERM', 'app.cjs'],
  'nodemon of a command': ['nodemon', '--signal', 'SIGTERM', '--exec', `"${process.execPath}" app.cjs`],
  tsx: ['tsx', 'app.cts'],
  'tsx watch': ['tsx', 'watch', 'app.cts'],
  'pnpm start': ['pnpm', 'start'],
  'yarn start': ['yarn', 'start'],
  'yarn of yarn': ['yarn', 'again'],
})) {
  test(name, async (t) => {
    const directory = makeTemporaryDirectory(t);
    for (const file of ['app.cjs', 'app.cts']) fs.writeFileSync(directory.at(file), source);
    const scripts = { start: `"${process.execPath}" app.cjs`, again: 'yarn start' };
    fs.writeFileSync(directory.at('package.json'), JSON.stringify({ name: 'shop', scripts }));
    const [program, ...words] = command;
    const env = { PATH: `${path.dirname(bin('yarn'))}:${process.env.PATH}`, npm_config_manage_package_manager_versions: 'false' };
    const app = startProgram(t, [bin(program), ...words], { cwd: directory.path, env, spawn: { detached: true } });
    t.after(() => {
      try {
        process.kill(-app.pid, 'SIGKILL');
      } catch {
        // All have ended.
      }
    });
    const [, pid] = await app.says(/^up (\d+)$/m);
    assert.notEqual(Number(pid), app.pid);
    const { code, stderr } = await runCommand(t, ['node-snapshot', '--pid', app.pid, '--output', directory.at('a.heapsnapshot')]);
    assert.equal(code, 0, stderr);
    assert.match(stderr, new RegExp(`^process ${pid} .* is taken`));
    const { stringTable } = await validateSnapshot(directory.at('a.heapsnapshot'), { strings: true });
    assert.ok(stringTable.includes('MarkOfApp'));

    const { stdout } = await runCommand(t, ['ps', '--tree']);
    assert.match(stdout, new RegExp(`^ *${pid} .* SIGUSR2 .*└─ .*app\\.c[jt]s$`, 'm'));
  });
}

// Who may capture a process from outside at each level of Yama (docs/outside.md has them in a table), and that whoever is refused has
// done nothing to it. The last level stays until the machine ends.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, test } from 'node:test';

import limits from '../../../harness/limits.cjs';
import { checkSubject, copiesOf, startSubject, traces } from '../../outside/subject.mjs';
import { startProgram } from '../../support/app.mjs';
import { BIN } from '../../support/command.mjs';
import { makeTemporaryDirectory } from '../../support/files.mjs';
import { assertWholeImageFile } from '../../support/images.mjs';

const USER = 1000;
const OTHER = 1001;
/** What Docker leaves to root (moby/profiles, `DefaultCapabilities`). */
const DOCKER = 'chown,dac_override,fsetid,fowner,mknod,net_raw,setgid,setuid,setfcap,setpcap,net_bind_service,sys_chroot,kill,audit_write';

const list = (sign, names) => names.split(',').map((name) => `${sign}${name}`).join(',');
const user = (id, capabilities) => {
  const ambient = capabilities ? [`--inh-caps=${list('+', capabilities)}`, `--ambient-caps=${list('+', capabilities)}`] : [];
  return ['setpriv', `--reuid=${id}`, `--regid=${id}`, '--clear-groups', ...ambient, '--'];
};
const rootWith = (capabilities) => ['setpriv', `--bounding-set=-all,${list('+', capabilities)}`, '--inh-caps=-all', '--'];

/** Who asks, whose process it is, and up to which level he may. */
const ROWS = [
  { who: 'the same user', by: user(USER), of: user(USER), most: 0 },
  { who: 'the same user, with CAP_SYS_PTRACE', by: user(USER, 'sys_ptrace'), of: user(USER), most: 2 },
  { who: 'root', by: [], of: user(USER), most: 2 },
  { who: 'root, of a process of root', by: [], of: [], most: 2 },
  { who: "root with Docker's capabilities, of a process with the same", by: rootWith(DOCKER), of: rootWith(DOCKER), most: 0 },
  { who: 'the same, with SYS_PTRACE', by: rootWith(`${DOCKER},sys_ptrace`), of: rootWith(DOCKER), most: 2 },
  { who: 'another user with CAP_SYS_PTRACE, CAP_DAC_OVERRIDE and CAP_KILL', by: user(OTHER, 'sys_ptrace,dac_override,kill'), of: user(USER), most: 2 },
  { who: 'another user with CAP_SYS_PTRACE alone', by: user(OTHER, 'sys_ptrace'), of: user(USER), most: -1 },
];

const REFUSALS = {
  1: /kernel\.yama\.ptrace_scope is 1, so only a parent or a privileged process may trace it: ask as root, or with CAP_SYS_PTRACE/,
  2: /kernel\.yama\.ptrace_scope is 2, so only a privileged process may trace it: ask as root, or with CAP_SYS_PTRACE/,
  3: /kernel\.yama\.ptrace_scope is 3: nobody may trace a process until the machine starts again/,
};

const SCOPE = '/proc/sys/kernel/yama/ptrace_scope';

/** Processes that are captured, by what started them: each survives all of it. */
const subjects = new Map();
const stay = { after() {} };
after(() => [...subjects.values()].map((app) => app.kill('SIGKILL')));

for (const level of [0, 1, 2, 3]) {
  test(`Yama is at level ${level}`, () => {
    fs.writeFileSync(SCOPE, `${level}`);
    assert.equal(fs.readFileSync(SCOPE, 'utf8'), `${level}\n`);
  });
  for (const { who, by, of, most } of ROWS) {
    test(`level ${level}, ${who}: ${level <= most ? 'captured' : 'refused'}, and the process goes on`, async (t) => {
      const user = of.join();
      if (!subjects.has(user)) subjects.set(user, await startSubject(stay, 'idle', { via: of }));
      const app = subjects.get(user);
      const { done } = await checkSubject(app);
      const { code, stderr, file } = await capture(t, app.pid, by);
      if (level <= most) {
        assert.equal(code, 0, stderr);
        assertWholeImageFile(file);
      } else {
        assert.equal(code, 2, stderr);
        assert.match(stderr, most < 0 ? /not permitted: process \d+ belongs to user 1000; ask as that user, or as root/ : REFUSALS[level]);
        assert.ok(!fs.existsSync(file));
      }
      assert.equal(traces(app.pid).tracer, '0');
      assert.deepEqual(copiesOf(app.pid), []);
      assert.ok((await checkSubject(app)).done > done);
    });
  }
}

/** Captures a process, as the command line `by` makes it somebody. */
async function capture(t, pid, by) {
  const directory = makeTemporaryDirectory(t);
  fs.chmodSync(directory.path, 0o777);
  const file = directory.at('a.heapimage');
  const args = ['node-snapshot', '--pid', `${pid}`, '--via', 'outside', '--max-stop', `${limits.WAIT / 1000}s`, '--output', file];
  return { ...(await startProgram(t, [...by, process.execPath, BIN, ...args]).ended()), file };
}

// How npm's @heap-snapshot/tool can be run. Its binary for Linux wants glibc 2.39; where there is an older one (Debian
// 12), Debian 13's is unpacked beside it and used for that program alone. It comes from the mirror that the system uses,
// through an apt of its own that checks signatures as ever; the system's packages are not touched.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import process from 'node:process';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** The command to start it with; nothing, with a word why, where it cannot be started. */
export function heapSnapshotTool(cache) {
  const dir = path.join(cache, 'heap-snapshot-tool');
  const binary = path.join(dir, `node_modules/@heap-snapshot/${process.platform}-${process.arch}/heap-snapshot`);
  try {
    if (!fs.existsSync(binary)) {
      fs.mkdirSync(dir, { recursive: true });
      fs.writeFileSync(path.join(dir, 'package.json'), JSON.stringify({ private: true }));
      const args = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error', '@heap-snapshot/tool@0.0.10'];
      execFileSync('npm', args, { cwd: dir, stdio: 'inherit' });
      fs.chmodSync(binary, 0o755);
    }
    if (runs([binary])) return [binary];
    const [loader, libraries] = glibc(dir);
    const command = [loader, '--library-path', `${libraries}:/lib/x86_64-linux-gnu`, binary];
    if (runs(command)) return command;
    throw new Error('it does not start');
  } catch (error) {
    process.stdout.write(`without @heap-snapshot/tool: ${error.message}\n`);
    return undefined;
  }
}

function runs([command, ...args]) {
  return spawnSync(command, [...args, '--help'], { stdio: 'ignore' }).status === 0;
}

function glibc(dir) {
  const home = path.join(dir, 'glibc');
  const libraries = path.join(home, 'usr/lib/x86_64-linux-gnu');
  const loader = path.join(libraries, 'ld-linux-x86-64.so.2');
  if (fs.existsSync(loader)) return [loader, libraries];
  const work = path.join(dir, 'apt');
  const at = (name) => path.join(work, name);
  fs.mkdirSync(at('lists/partial'), { recursive: true });
  fs.writeFileSync(at('status'), '');
  fs.writeFileSync(at('sources.list'), `deb [signed-by=${KEYRING}] ${mirror()} trixie main\n`);
  const settings = [
    `Dir::State=${work}`, `Dir::State::lists=${at('lists')}`, `Dir::State::status=${at('status')}`, `Dir::Cache=${work}`,
    `Dir::Etc::sourcelist=${at('sources.list')}`, 'Dir::Etc::sourceparts=/dev/null', 'APT::Sandbox::User=root',
  ].flatMap((setting) => ['-o', setting]);
  const apt = (...args) => execFileSync('apt-get', [...settings, '-qq', ...args], { cwd: work, stdio: 'inherit' });
  try {
    apt('update');
    apt('download', 'libc6');
    const file = fs.readdirSync(work).find((name) => name.endsWith('.deb'));
    execFileSync('dpkg-deb', ['-x', at(file), home], { stdio: 'inherit' });
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
  return [loader, libraries];
}

function mirror() {
  const format = ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages'];
  const sources = execFileSync('apt-get', format, { encoding: 'utf8' }).split('\n');
  const found = sources.find((uri) => /\/debian\/?$/.test(uri));
  if (!found) throw new Error('apt knows no mirror of Debian');
  return found;
}

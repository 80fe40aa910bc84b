'use strict';

// Programs that are no JavaScript and come with the platform's package: found, and made executable.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { Problem } = require('./command.js');

const PLATFORMS = ['linux-x64-gnu', 'linux-x64-musl'];

class Program {
  #name;
  #where;
  #help;

  /** `where` it works, and what helps elsewhere, for a person. */
  constructor(name, where, help) {
    this.#name = name;
    this.#where = where;
    this.#help = help;
  }

  /** Where this package, or the one for this platform, has it; throws a Problem where there is none. */
  find() {
    if (process.platform !== 'linux' || process.arch !== 'x64') {
      throw new Problem(`${this.#where}; this is ${process.platform}-${process.arch}: ${this.#help}`);
    }
    for (const platform of PLATFORMS) {
      const built = path.join(__dirname, '../..', `${this.#name}.${platform}`);
      if (fs.existsSync(built)) return built;
      try {
        return require.resolve(`heapdump-rs-${platform}/${this.#name}`);
      } catch {
        // The package for the other C library, or none.
      }
    }
    throw new Problem(`${this.#name} is not installed: install heapdump-rs again, without --omit=optional`);
  }

  /** `{path, discard()}`. Package managers keep modes; where one did not, or files are in an archive, a copy can be executed. */
  executable() {
    const program = this.find();
    try {
      fs.accessSync(program, fs.constants.X_OK);
      return { path: program, discard() {} };
    } catch {
      const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'heapdump-rs-'));
      const copy = path.join(directory, this.#name);
      fs.writeFileSync(copy, fs.readFileSync(program), { mode: 0o700 });
      return { path: copy, discard: () => fs.rmSync(directory, { recursive: true, force: true }) };
    }
  }
}

module.exports = { Program };

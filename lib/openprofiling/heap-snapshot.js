'use strict';

// The heap snapshot profiler: each trigger, start or end, is a snapshot. It goes to an exporter as a stream, or as a file
// where the agent or the exporter knows no streams.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { recipientsOf } = require('../encrypt.js');
const { endingOf } = require('../extensions.js');
const { invalidValue } = require('../errors.js');
const { Profile, ProfileType } = require('./profile.js');

let files = 0;

class HeapSnapshotProfiler {
  #agent;
  #options;
  #directory;
  #turn = Promise.resolve();

  /** `session` is upstream's; none is needed. */
  constructor({ session, directory = os.tmpdir(), ...options } = {}) {
    this.#directory = directory;
    // Nobody awaits it, so it does not stop the process where no child can be forked.
    this.#options = { fallback: 'error', ...options };
    // Its profiles are snapshots by name and by kind, and whoever collects them expects no memory of the process.
    for (const name of ['output', 'lowMemory']) {
      if (options[name] !== undefined) throw invalidValue(name, 'absent: OpenProfiling knows no images', options[name]);
    }
    require('../options.js').normalize(this.#options);
  }

  enable(agent) {
    this.#agent = agent;
  }

  disable() {}

  /** One after the other; resolves when this one is where it was to go. Never rejects. */
  onTrigger(state, { name = 'heap-snapshot', attributes } = {}) {
    const agent = this.#agent;
    this.#turn = this.#turn.then(() => this.#take(agent, name, attributes));
    return this.#turn;
  }

  async #take(agent, name, attributes) {
    const profile = new Profile(name, ProfileType.HEAP_SNAPSHOT);
    Object.assign(profile.attributes, attributes, { profiler: 'heap-snapshot' });
    profile.extension = endingOf('snapshot', this.#options.compress, recipientsOf(this.#options.encryptTo) !== undefined).slice(1);
    await agent.notifyStartProfile(profile);
    if (agent.takesStreams) {
      profile.source = () => require('../stream.js').createSnapshotStream(this.#options);
      profile.end();
    } else {
      await this.#write(profile);
    }
    await agent.notifyEndProfile(profile);
  }

  async #write(profile) {
    files += 1;
    const file = path.join(this.#directory, `.heapdump-${process.pid}-${Date.now()}-${files}.heapsnapshot`);
    try {
      const report = await require('../promises.js').writeSnapshot(file, this.#options);
      profile.source = report.path;
      removeWith(profile, report.path);
      profile.end();
    } catch (error) {
      profile.end(error);
    }
  }
}

/**
 * Whoever gets a file says to nobody when it has been read. It stays as long as somebody holds the profile, and goes with
 * the process at the latest.
 */
function removeWith(profile, file) {
  if (temporary.size === 0) process.on('exit', removeAll);
  temporary.add(file);
  registry.register(profile, file);
}

const temporary = new Set();

const registry = new FinalizationRegistry((file) => {
  temporary.delete(file);
  fs.rm(file, { force: true }, () => {});
  if (temporary.size === 0) process.removeListener('exit', removeAll);
});

function removeAll() {
  for (const file of temporary) fs.rmSync(file, { force: true });
}

module.exports = { HeapSnapshotProfiler };

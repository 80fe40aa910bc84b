'use strict';

// One profile, as upstream's, but that its data may be a file or a stream instead of a Buffer.

const fs = require('node:fs');

const ProfileType = Object.freeze({
  HEAP_SNAPSHOT: 'HEAP_SNAPSHOT',
  HEAP_PROFILE: 'HEAP_PROFILE',
  CPU_PROFILE: 'CPU_PROFILE',
  PERFECTO: 'PERFECTO',
});
const ProfileStatus = Object.freeze({ UNKNOWN: 0, SUCCESS: 1, FAILED: 2 });
const TriggerState = Object.freeze({ START: 1, END: 0 });

class Profile {
  status = ProfileStatus.UNKNOWN;
  attributes = {};
  startTime = new Date();
  endTime;
  /** A path, or a function that gives a Readable, for exporters that take one; see docs/exporters.md. */
  source;
  /** Of its file's name. */
  extension;
  #chunks = [];

  constructor(name, kind) {
    this.name = name;
    this.kind = kind;
  }

  /** Everything, in memory. For exporters that know nothing else: upstream's read it. */
  get data() {
    if (typeof this.source === 'string') return fs.readFileSync(this.source);
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] ?? Buffer.alloc(0);
  }

  addProfileData(chunk) {
    this.#chunks.push(Buffer.from(chunk));
  }

  addAttribute(key, value) {
    if (this.ended) throw new Error('You cannot add attributes to ended profile.');
    this.attributes[key] = value;
  }

  end(error) {
    if (error instanceof Error) this.addAttribute('error', error.message);
    this.status = error instanceof Error ? ProfileStatus.FAILED : ProfileStatus.SUCCESS;
    this.endTime = new Date();
  }

  get started() {
    return true;
  }

  get ended() {
    return this.endTime !== undefined;
  }

  get duration() {
    return this.endTime - this.startTime;
  }
}

module.exports = { Profile, ProfileStatus, ProfileType, TriggerState };

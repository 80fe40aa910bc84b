'use strict';

// Profilers over the inspector module, which run from one trigger to the next: CPU, and sampled allocations.

const { promisify } = require('node:util');

const { Profile, ProfileType, TriggerState } = require('./profile.js');

class InspectorProfiler {
  #agent;
  #domain;
  #kind;
  #start;
  #stop;
  #given;
  #session;
  #profile;
  #turn = Promise.resolve();

  constructor({ domain, kind, start, stop }, session) {
    this.#domain = domain;
    this.#kind = kind;
    this.#start = start;
    this.#stop = stop;
    this.#given = session;
  }

  enable(agent) {
    this.#agent = agent;
  }

  /** A profile that is under way ends, and still reaches the exporter. */
  disable() {
    const agent = this.#agent;
    this.#turn = this.#turn.then(async () => {
      if (this.#profile) await this.#end(agent);
      this.#disconnect();
    });
  }

  /** A start while one runs, and an end while none does, mean nothing. Never rejects. */
  onTrigger(state, { name = 'noname', attributes } = {}) {
    const agent = this.#agent;
    this.#turn = this.#turn.then(async () => {
      if (state === TriggerState.START && !this.#profile) await this.#begin(agent, name, attributes);
      else if (state === TriggerState.END && this.#profile) await this.#end(agent);
    });
    return this.#turn;
  }

  async #begin(agent, name, attributes) {
    const profile = new Profile(name, this.#kind);
    Object.assign(profile.attributes, attributes, { profiler: this.#domain });
    try {
      this.#connect();
      await this.#post(`${this.#domain}.enable`);
      await this.#post(...this.#start);
      this.#profile = profile;
      await agent.notifyStartProfile(profile);
    } catch (error) {
      profile.end(error);
      await agent.notifyEndProfile(profile);
    }
  }

  async #end(agent) {
    const profile = this.#profile;
    this.#profile = undefined;
    try {
      const { profile: data } = await this.#post(this.#stop);
      profile.addProfileData(Buffer.from(JSON.stringify(data)));
      profile.end();
    } catch (error) {
      profile.end(error);
    }
    await agent.notifyEndProfile(profile);
  }

  /** A session that was handed over may be connected already, by its owner or by another profiler. */
  #connect() {
    if (this.#session) return;
    const session = this.#given ?? new (require('node:inspector').Session)();
    try {
      session.connect();
    } catch (error) {
      if (error.code !== 'ERR_INSPECTOR_ALREADY_CONNECTED') throw error;
    }
    this.#session = session;
  }

  #disconnect() {
    if (this.#session && !this.#given) this.#session.disconnect();
    this.#session = undefined;
  }

  #post(method, parameters) {
    const session = this.#session;
    return promisify(session.post).call(session, method, parameters);
  }
}

class InspectorCPUProfiler extends InspectorProfiler {
  constructor({ session } = {}) {
    const commands = { start: ['Profiler.start'], stop: 'Profiler.stop' };
    super({ domain: 'Profiler', kind: ProfileType.CPU_PROFILE, ...commands }, session);
  }
}

class InspectorHeapProfiler extends InspectorProfiler {
  constructor({ session, samplingInterval = 8 * 1024 } = {}) {
    const start = ['HeapProfiler.startSampling', { samplingInterval }];
    super({ domain: 'HeapProfiler', kind: ProfileType.HEAP_PROFILE, start, stop: 'HeapProfiler.stopSampling' }, session);
  }
}

module.exports = { InspectorCPUProfiler, InspectorHeapProfiler };

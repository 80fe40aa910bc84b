'use strict';

// Who runs a profiler when a trigger fires, and tells the exporter. Nothing that goes wrong here reaches the
// application: it is a process warning.

const { invalidType } = require('../errors.js');

class ProfilingAgent {
  #reactions = [];
  #listeners = [];
  #exporter;
  #active = false;
  /** What upstream's triggers, profilers and exporters log with. */
  logger = createLogger();

  get active() {
    return this.#active;
  }

  isStarted() {
    return this.#active;
  }

  /** Whether a profile's data may be a stream, which can be read only once. */
  get takesStreams() {
    return this.#listeners.length === 1 && typeof this.#listeners[0].export === 'function';
  }

  register(trigger, profiler) {
    if (this.#active) {
      throw new Error('You cannot register new link between trigger and profiler when the agent has been started');
    }
    requireMethods('trigger', trigger, ['enable', 'disable']);
    requireMethods('profiler', profiler, ['enable', 'disable', 'onTrigger']);
    this.#reactions.push({ trigger, profiler });
    return this;
  }

  start({ exporter, logLevel } = {}) {
    if (this.#active) throw new Error('The agent has been started already');
    requireMethods('exporter', exporter, ['enable', 'disable', 'onProfileStart', 'onProfileEnd']);
    if (logLevel !== undefined) this.logger = createLogger(logLevel);
    this.#active = true;
    this.#exporter = exporter;
    exporter.enable(this);
    this.registerProfileListener(exporter);
    for (const { profiler, trigger } of this.#reactions) {
      profiler.enable(this);
      trigger.enable(this);
    }
    return this;
  }

  /** Profiles that are under way still reach the exporter. */
  stop() {
    if (!this.#active) return this;
    this.#active = false;
    for (const { profiler, trigger } of this.#reactions) {
      trigger.disable();
      profiler.disable();
    }
    this.#exporter.disable();
    return this;
  }

  onTrigger(state, options) {
    for (const { trigger, profiler } of this.#reactions) {
      if (trigger === options.source) settle('profiler', () => profiler.onTrigger(state, options));
    }
  }

  registerProfileListener(listener) {
    this.#listeners = this.#listeners.filter((each) => each !== listener).concat(listener);
  }

  unregisterProfileListener(listener) {
    this.#listeners = this.#listeners.filter((each) => each !== listener);
    return this;
  }

  /** Resolves when everybody has heard it. */
  async notifyStartProfile(profile) {
    await Promise.all(this.#listeners.map((each) => settle('exporter', () => each.onProfileStart(profile))));
  }

  /** Resolves when the profile is where it was to go, or could not be brought there. */
  async notifyEndProfile(profile) {
    if (profile.status === 2) warn('profiler', new Error(profile.attributes.error));
    await Promise.all(this.#listeners.map((each) => settle('exporter', () => each.onProfileEnd(profile))));
  }
}

function requireMethods(name, value, methods) {
  const missing = methods.filter((method) => typeof value?.[method] !== 'function');
  if (missing.length > 0) throw invalidType(name, `an object with the methods ${missing.join(', ')}`, value);
}

/** Upstream's methods may be asynchronous or not. */
async function settle(who, call) {
  try {
    await call();
  } catch (error) {
    warn(who, error);
  }
}

function warn(who, { message, code }) {
  process.emitWarning(`openprofiling: the ${who} failed: ${message}`, { type: 'HeapdumpWarning', code });
}

/** Levels are upstream's: 0 nothing, 1 errors, 2 warnings, 3 what happens, 4 everything. */
function createLogger(level = 1) {
  const at = (least) => (...words) => level >= least && console.error(...words);
  return { level, error: at(1), warn: at(2), info: at(3), debug: at(4) };
}

module.exports = { ProfilingAgent };

'use strict';

// A signal starts a profile, and the next one ends it; a profiler that takes everything at once does so for each.

const { invalidType, invalidValue } = require('../errors.js');
const { TriggerState } = require('./profile.js');

/** Where index.js says which signal the package's own handler answers. */
const INSTALLED = Symbol.for('heapdump-rs.signal');

class SignalTrigger {
  name;
  #signal;
  #agent;
  #running = false;
  #handler = () => {
    this.#running = !this.#running;
    const state = this.#running ? TriggerState.START : TriggerState.END;
    this.#agent.onTrigger(state, { source: this, name: this.name });
  };

  constructor({ signal } = {}) {
    if (typeof signal !== 'string') throw invalidType('signal', 'the name of a signal', signal);
    if (!/^SIG[A-Z\d]+$/.test(signal)) throw invalidValue('signal', 'the name of a signal', signal);
    this.#signal = signal;
    this.name = `signal-${signal.toLowerCase()}`;
  }

  enable(agent) {
    this.#agent = agent;
    // First ours: in between, the signal would end the process.
    process.on(this.#signal, this.#handler);
    answeredHere(this.#signal, 1);
  }

  disable() {
    if (!process.listeners(this.#signal).includes(this.#handler)) return;
    answeredHere(this.#signal, -1);
    process.removeListener(this.#signal, this.#handler);
    this.#running = false;
  }
}

const answered = new Map();

/** While a trigger answers the package's own signal, its own handler must not: each signal is to give one file. */
function answeredHere(signal, change) {
  const count = (answered.get(signal) ?? 0) + change;
  answered.set(signal, count);
  const { heap } = require('../native.js');
  if (signal === (process[INSTALLED] ?? heap.options().signal)) heap.handOverSignal(count > 0);
}

module.exports = { SignalTrigger };

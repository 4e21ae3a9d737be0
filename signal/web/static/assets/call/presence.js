/**
 * Being signed in under a name, and staying so: a lost connection is made again
 * by itself, more and more slowly. No DOM.
 */

import { SignInError } from './signalling.js';

/** @typedef {import('./signalling.js').Message} Message */

/**
 * One connection to the hub; Signalling is one.
 * @typedef {object} Connection
 * @property {(name: string) => Promise<Message>} signIn
 * @property {(message: Message) => boolean} send
 * @property {() => void} close
 */

/**
 * @typedef {object} PresenceHooks
 * @property {(hooks: {message: (message: Message) => void, lost: () => void}) => Connection} connect
 * @property {() => Promise<SignInError>} explain why no connection can be made
 * @property {(reply: Message) => void} welcome each sign-in's reply
 * @property {(message: Message) => void} message
 * @property {() => void} change the state or the problem changed
 */

/** After so many refusals in a row, somebody else has our name. */
const TAKEN_LIMIT = 4;

export class Presence {
  /** @type {'out' | 'joining' | 'in' | 'lost' | 'rejoining'} */
  state = 'out';
  name = '';
  /** Why we are not signed in, in words; empty when there is nothing to say. */
  problem = '';

  /** @type {Connection | null} */
  #connection = null;
  #hooks;
  #attempts = 0;
  #taken = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {PresenceHooks} hooks */
  constructor(hooks) {
    this.#hooks = hooks;
  }

  /**
   * Signs in for the first time.
   * @param {string} name
   */
  async signIn(name) {
    this.name = name;
    this.#attempts = 0;
    this.#taken = 0;
    this.#become('joining');
    const failure = await this.#join();
    if (failure) this.#become('out', failure.message);
  }

  /** Makes a lost connection again at once. */
  async reconnect() {
    if (this.state !== 'lost') return;
    clearTimeout(this.#timer);
    this.#become('rejoining');
    const failure = await this.#join();
    if (!failure) return;
    this.#taken = failure.code === 'taken' ? this.#taken + 1 : 0;
    if (failure.code === 'refused' || this.#taken >= TAKEN_LIMIT) this.#become('out', failure.message);
    else this.#retryLater(failure.message);
  }

  signOut() {
    clearTimeout(this.#timer);
    this.#drop();
    this.#become('out');
  }

  /**
   * @param {Message} message
   * @returns {boolean} false when we are not connected
   */
  send(message) {
    return this.#connection !== null && this.#connection.send(message);
  }

  /** @returns {Promise<SignInError | null>} */
  async #join() {
    this.#drop();
    /** @type {Connection} */
    const connection = this.#hooks.connect({
      message: (message) => this.#hooks.message(message),
      lost: () => this.#lost(connection),
    });
    this.#connection = connection;
    try {
      const reply = await connection.signIn(this.name);
      if (this.#connection !== connection) return null; // signed out meanwhile
      this.#attempts = 0;
      this.#taken = 0;
      this.#hooks.welcome(reply);
      this.#become('in');
      return null;
    } catch (failure) {
      if (this.#connection !== connection) return null;
      this.#connection = null;
      const known = failure instanceof SignInError ? failure : new SignInError('unreachable', String(failure));
      return known.code === 'unreachable' ? this.#hooks.explain() : known;
    }
  }

  /** @param {Connection} connection */
  #lost(connection) {
    if (this.#connection !== connection) return;
    this.#connection = null;
    this.#retryLater('');
  }

  /** @param {string} problem */
  #retryLater(problem) {
    this.#timer = setTimeout(() => this.reconnect(), delay(this.#attempts));
    this.#attempts += 1;
    this.#become('lost', problem);
  }

  #drop() {
    this.#connection?.close();
    this.#connection = null;
  }

  /**
   * @param {Presence['state']} state
   * @param {string} [problem]
   */
  #become(state, problem = '') {
    this.state = state;
    this.problem = problem;
    this.#hooks.change();
  }
}

/**
 * How long to wait before an attempt to reconnect, in milliseconds: doubling
 * from one second to half a minute, spread so that the clients of a restarted
 * server do not come back all at once.
 * @param {number} attempt counted from 0
 * @param {number} [random] from 0 to 1
 * @returns {number}
 */
export function delay(attempt, random = Math.random()) {
  return Math.min(30_000, 1000 * 2 ** attempt) * (0.5 + random / 2);
}

/** Being signed in, with the name one had before a reload. No DOM. */

import { signInWords } from './words.js';

/** @typedef {import('../../sdk/icebox.js').Client} Client */

/**
 * @typedef {object} PresenceHooks
 * @property {(options: {name: string, replace: string}) => Promise<Client>} connect
 * @property {(client: Client) => void} welcome a new client
 * @property {() => void} change the state or the problem changed
 * @property {boolean} hasKey
 */

export class Presence {
  /** @type {'out' | 'joining' | 'in' | 'lost'} */
  state = 'out';
  name = '';
  /** Why we are not signed in, in words; empty when there is nothing to say. */
  problem = '';
  /** @type {Client | null} */
  client = null;
  #hooks;

  /** @param {PresenceHooks} hooks */
  constructor(hooks) {
    this.#hooks = hooks;
  }

  /**
   * @param {string} name may be empty
   * @param {string} [replace] the secret from before a reload
   */
  async signIn(name, replace = '') {
    if (this.state !== 'out') return;
    this.name = name;
    this.#become('joining');
    try {
      const client = await this.#hooks.connect({ name, replace });
      this.client = client;
      this.name = client.name;
      client.on('state', () => this.client === client && this.#follow(client));
      client.on('close', () => this.client === client && this.#follow(client));
      this.#hooks.welcome(client);
      this.#follow(client);
    } catch (failure) {
      this.#become('out', signInWords(/** @type {any} */ (failure), this.#hooks.hasKey));
    }
  }

  reconnect() {
    this.client?.reconnect();
  }

  signOut() {
    const { client } = this;
    this.client = null;
    client?.close();
    this.#become('out');
  }

  /** @param {Client} client */
  #follow({ state, problem }) {
    if (state === 'connected') return this.#become('in');
    const words = problem && problem.code !== 'lost' ? signInWords(problem, this.#hooks.hasKey) : '';
    if (state === 'closed') this.client = null;
    this.#become(state === 'closed' ? 'out' : 'lost', words);
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

const KEY = 'icebox-session';

/**
 * Keeps what a reload needs, only while the page can't be seen: a tab that is duplicated must not take the first
 * one's name.
 * @param {{name: string, secret: string} | null} session null forgets it
 */
export function keep(session) {
  try {
    if (session) sessionStorage.setItem(KEY, JSON.stringify(session));
    else sessionStorage.removeItem(KEY);
  } catch {
    // A browser may forbid it; one signs in by hand then.
  }
}

/** @returns {{name: string, secret: string} | null} what was kept, once */
export function kept() {
  try {
    const session = JSON.parse(sessionStorage.getItem(KEY) ?? 'null');
    keep(null);
    return session;
  } catch {
    return null;
  }
}

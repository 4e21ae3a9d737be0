/** The user's sign-in, which survives a reload. No DOM. */

import { signInWords } from './words.js';

/** @typedef {import('../../sdk/icebox.js').Client} Client */

/**
 * @typedef {object} PresenceHooks
 * @property {(options: {name: string, replace: string}) => Promise<Client>} connect
 * @property {(client: Client) => void} onClient there is a new client
 * @property {() => void} onChange the state or the problem changed
 * @property {boolean} hasKey whether the page's URL has a key
 */

export class Presence {
  /** @type {'out' | 'joining' | 'in' | 'lost'} */
  state = 'out';
  name = '';
  /** Why the user is not signed in, as a text to show; empty if there is nothing to show. */
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
    this.#setState('joining');
    try {
      const client = await this.#hooks.connect({ name, replace });
      this.client = client;
      this.name = client.name;
      client.on('state', () => this.client === client && this.#onClientState(client));
      client.on('close', () => this.client === client && this.#onClientState(client));
      this.#hooks.onClient(client);
      this.#onClientState(client);
    } catch (failure) {
      this.#setState('out', signInWords(/** @type {any} */ (failure), this.#hooks.hasKey));
    }
  }

  reconnect() {
    this.client?.reconnect();
  }

  signOut() {
    const { client } = this;
    this.client = null;
    client?.close();
    this.#setState('out');
  }

  /** @param {Client} client */
  #onClientState({ state, problem }) {
    if (state === 'connected') return this.#setState('in');
    const words = problem && problem.code !== 'lost' ? signInWords(problem, this.#hooks.hasKey) : '';
    if (state === 'closed') this.client = null;
    this.#setState(state === 'closed' ? 'out' : 'lost', words);
  }

  /**
   * @param {Presence['state']} state
   * @param {string} [problem]
   */
  #setState(state, problem = '') {
    this.state = state;
    this.problem = problem;
    this.#hooks.onChange();
  }
}

const KEY = 'icebox-session';

/**
 * Saves the session for a reload. It is there only while the page is hidden, because a duplicated tab gets a copy of the storage,
 * and must not take over the name of the first one.
 * @param {{name: string, secret: string} | null} session null removes it
 */
export function saveSession(session) {
  try {
    if (session) sessionStorage.setItem(KEY, JSON.stringify(session));
    else sessionStorage.removeItem(KEY);
  } catch {
    // The browser may forbid storage. The user then has to sign in again after a reload.
  }
}

/** Returns the saved session and removes it. @returns {{name: string, secret: string} | null} */
export function popSession() {
  try {
    const session = JSON.parse(sessionStorage.getItem(KEY) ?? 'null');
    saveSession(null);
    return session;
  } catch {
    return null;
  }
}

/**
 * Being signed in, and staying so: a lost connection is made again and resumed, and where that can't be done the
 * client signs in anew. Whoever uses this sees each message once, in order.
 */

import { Backlog } from './backlog.js';
import { asError, IceboxError, refused } from './errors.js';
import { farewell, openEvents } from './events.js';
import { openWebSocket } from './websocket.js';

/** @typedef {import('./websocket.js').Transport} Transport */
/** @typedef {import('./websocket.js').Environment} Environment */

/**
 * @typedef {object} SessionOptions
 * @property {string} url
 * @property {string} [name]
 * @property {() => Promise<string | undefined>} token
 * @property {boolean} renewable whether token gives another one each time
 * @property {string} [replace]
 * @property {'auto' | 'websocket' | 'events'} transport
 * @property {Environment} environment
 */

/**
 * @typedef {object} SessionHooks
 * @property {(welcome: any) => void} welcome each sign-in's
 * @property {(message: any) => void} message what is no answer
 * @property {() => void} change the state or the problem changed
 * @property {() => boolean} urgent whether something waits for the connection, such as a call
 */

/** @typedef {'connecting' | 'connected' | 'waiting' | 'closed'} SessionState */

const PING_MS = 25_000;
const URGENT_PING_MS = 10_000;
const PONG_MS = 5_000;
/** For a sign of life after the network has changed. */
const PROBE_MS = 2_500;
/** After so many refusals in a row somebody else has our name. */
const TAKEN_LIMIT = 4;
/** How many attempts are made with WebSockets alone, where they have worked. */
const PATIENT = 4;
/** Refusals that asking again won't change. */
const FINAL = new Set(['token-missing', 'token-invalid', 'token-expired', 'bad-name', 'name-not-allowed', 'version', 'bad-message']);
/** Refusals by the server itself: another transport would hear the same. */
const REACHED = new Set([...FINAL, 'name-taken', 'resync', 'too-many']);

export class Session {
  /** @type {SessionState} */
  state = 'connecting';
  /** Why there is no connection, while there is none. @type {IceboxError | null} */
  problem = null;
  /** How many attempts to connect have failed in a row. */
  attempts = 0;
  /** @type {'websocket' | 'events' | null} */
  kind = null;
  /** The secret that proves to be this client. */
  secret = '';

  #options;
  #hooks;
  /** @type {Transport | null} */
  #transport = null;
  #backlog = new Backlog();
  /** @type {Map<number, {resolve: (answer: any) => void, reject: (failure: IceboxError) => void}>} */
  #asked = new Map();
  #refs = 0;
  #taken = 0;
  #webSocketWorked = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #ping;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pong;

  /**
   * @param {SessionOptions} options
   * @param {SessionHooks} hooks
   */
  constructor(options, hooks) {
    this.#options = options;
    this.#hooks = hooks;
  }

  /** Signs in for the first time. */
  async signIn() {
    try {
      await this.#connect(this.#options.replace);
    } catch (failure) {
      this.#end(asError(failure, 'unreachable'));
      throw this.problem;
    }
  }

  /**
   * Sends a message, now or when there is a connection again.
   * @param {any} message
   */
  send(message) {
    if (this.state === 'closed') return;
    const text = this.#backlog.text(message);
    this.#transport?.send([text]);
  }

  /**
   * Sends a message and waits for its answer.
   * @param {any} message
   * @returns {Promise<any>} rejects with the server's refusal, or with lost if nobody can say whether it was done
   */
  request(message) {
    if (this.state === 'closed') return Promise.reject(new IceboxError('closed', 'The connection to the server is closed.'));
    return new Promise((resolve, reject) => {
      this.#refs += 1;
      this.#asked.set(this.#refs, { resolve, reject });
      this.send({ ...message, ref: this.#refs });
    });
  }

  /** Connects at once instead of waiting, and makes sure that a connection lives. */
  probe() {
    if (this.state === 'waiting') this.#again();
    else if (this.state === 'connected') this.#askForLife(PROBE_MS);
  }

  /**
   * Ends the session on both sides.
   * @param {boolean} [unloading] whether the page is being left, with which a WebSocket's last words may be lost
   */
  close(unloading = false) {
    const bye = JSON.stringify({ type: 'bye' });
    const { url, environment } = this.#options;
    if (unloading && this.state !== 'closed') farewell({ url, environment }, this.secret, [...this.#backlog.texts, bye]);
    this.#end(null, bye);
  }

  /**
   * @param {IceboxError | null} problem
   * @param {string} [last]
   */
  #end(problem, last) {
    if (this.state === 'closed') return;
    this.#drop(last);
    clearTimeout(this.#retry);
    this.#become('closed', problem);
    this.#abandon(problem ?? new IceboxError('closed', 'The connection to the server is closed.'));
  }

  /** @param {IceboxError} why Nobody can say any more what became of what was asked. */
  #abandon(why) {
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const { reject } of asked) reject(why);
  }

  /** @param {string} [last] */
  #drop(last) {
    clearTimeout(this.#ping);
    clearTimeout(this.#pong);
    this.#transport?.close(last);
    this.#transport = null;
  }

  /**
   * Signs in, on whichever transport works.
   * @param {string} [replace]
   */
  async #connect(replace) {
    const token = await this.#options.token();
    const hello = { type: 'hello', v: 1, name: this.#options.name || undefined, token: token || undefined, replace: replace || undefined };
    const { first, transport } = await this.#open(hello);
    if (this.state === 'closed') return transport.close(JSON.stringify({ type: 'bye' }));
    this.#backlog = new Backlog();
    this.#abandon(new IceboxError('lost', 'The connection to the server was lost. Try again.'));
    this.secret = first.resume;
    this.#hooks.welcome(first);
    this.#carry(transport);
  }

  /** Goes on with the session. */
  async #resume() {
    const { first, transport } = await this.#open({ type: 'hello', v: 1, resume: this.secret, seq: this.#backlog.had });
    if (this.state === 'closed') return transport.close();
    this.#backlog.take(first);
    this.#carry(transport);
  }

  /**
   * @param {any} hello
   * @returns {Promise<{first: any, transport: Transport}>}
   */
  async #open(hello) {
    const { url, environment, transport } = this.#options;
    const opening = { url, hello, environment };
    if (transport === 'events') return openEvents(opening);
    try {
      const opened = await openWebSocket(opening);
      this.#webSocketWorked = true;
      return opened;
    } catch (failure) {
      const { code } = asError(failure, 'unreachable');
      // A server that is just being restarted has no WebSockets for a moment: that's no reason to do without.
      if (transport === 'websocket' || REACHED.has(code) || (this.#webSocketWorked && this.attempts < PATIENT)) throw failure;
      return openEvents(opening);
    }
  }

  /** @param {Transport} transport */
  #carry(transport) {
    this.#transport = transport;
    this.kind = transport.kind;
    this.attempts = 0;
    this.#taken = 0;
    transport.send([this.#backlog.text({ type: 'ack' }), ...this.#backlog.texts]);
    this.#become('connected', null);
    if (this.#transport !== transport) return; // whoever was told has closed it
    this.#alive();
    transport.start({
      message: (message) => this.#transport === transport && this.#receive(message),
      alive: () => this.#transport === transport && this.#alive(),
      lost: () => this.#transport === transport && this.#lost(),
    });
  }

  #lost() {
    this.#drop();
    if (this.state === 'closed') return;
    this.#retryLater(new IceboxError('lost', 'The connection to the server was lost.'));
  }

  /** @param {IceboxError} problem */
  #retryLater(problem) {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#again(), delay(this.attempts, this.#hooks.urgent()));
    this.attempts += 1;
    this.#become('waiting', problem);
  }

  /** One attempt to be connected again. */
  async #again() {
    clearTimeout(this.#retry);
    this.#become('connecting', this.problem);
    try {
      await this.#resume().catch((failure) => {
        if (this.state === 'closed') return;
        if (failure.code !== 'resync') throw failure;
        return this.#connect(this.secret);
      });
    } catch (thrown) {
      if (this.state !== 'closed') this.#refused(asError(thrown, 'unreachable'));
    }
  }

  /** @param {IceboxError} failure */
  #refused(failure) {
    this.#taken = failure.code === 'name-taken' ? this.#taken + 1 : 0;
    const final = FINAL.has(failure.code) && !(this.#options.renewable && failure.code.startsWith('token-') && this.attempts < 2);
    if (final || this.#taken >= TAKEN_LIMIT) this.#end(failure);
    else this.#retryLater(failure);
  }

  /** @param {any} message */
  #receive(message) {
    this.#alive();
    const place = this.#backlog.take(message);
    if (place === 'gap') return this.#lost(); // what is missing comes again
    if (place === 'old') return;
    if (this.#backlog.owesAck) this.send({ type: 'ack' });
    if (message.type === 'bye') return this.#bye(message);
    if (message.type === 'ack' || message.type === 'pong' || message.type === 'resumed') return;
    const asked = this.#asked.get(message.ref);
    if (!asked) return this.#hooks.message(message);
    this.#asked.delete(message.ref);
    if (message.type === 'error') asked.reject(refused(message));
    else asked.resolve(message);
  }

  /** @param {{reason: string, reconnect?: boolean}} bye */
  #bye({ reason, reconnect }) {
    if (reason === 'token-expired' && !this.#options.renewable) {
      return this.#end(new IceboxError('token-expired', 'The time of this sign-in is over.'));
    }
    if (reconnect) return this.#lost();
    this.#end(new IceboxError(reason, 'You are signed in somewhere else now, under the same name.'));
  }

  /** A sign of life: the next one is asked for in time. */
  #alive() {
    clearTimeout(this.#pong);
    clearTimeout(this.#ping);
    if (!this.#transport?.pings) return;
    this.#ping = setTimeout(() => this.#askForLife(PONG_MS), this.#hooks.urgent() ? URGENT_PING_MS : PING_MS);
  }

  /** @param {number} within milliseconds */
  #askForLife(within) {
    clearTimeout(this.#pong);
    this.#pong = setTimeout(() => this.#lost(), within);
    this.send({ type: 'ping' });
  }

  /**
   * @param {SessionState} state
   * @param {IceboxError | null} problem
   */
  #become(state, problem) {
    this.state = state;
    this.problem = problem;
    this.#hooks.change();
  }
}

/**
 * How long to wait before an attempt to connect again, in milliseconds: twice as long each time, and spread so that
 * the clients of a restarted server don't come back all at once.
 * @param {number} attempt counted from 0
 * @param {boolean} urgent whether somebody is in a call
 * @param {number} [random] from 0 to 1
 * @returns {number}
 */
export function delay(attempt, urgent, random = Math.random()) {
  return Math.min(urgent ? 2_500 : 20_000, 300 * 2 ** attempt) * (0.5 + random / 2);
}

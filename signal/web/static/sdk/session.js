/**
 * A session: one sign-in to the server, which outlives its connections. When a connection is lost, the session reconnects
 * and resumes, and its client receives each message once, in order. If the server can't resume it, the client signs in
 * again.
 *
 * After connect() has succeeded, these events end a connection:
 *
 *   the connection breaks, the server is silent, or  reconnects; the WebSocket's close code does not matter
 *     a numbered message is missing
 *   bye with reconnect: restarting, slow-reader,     reconnects
 *     too-large, protocol, error
 *   bye token-expired                                reconnects if `token` is a function, which gives a new token; otherwise ends
 *   bye without reconnect: elsewhere, replaced       ends: another connection or client has taken over
 *
 * and these replies to a hello follow:
 *
 *   resync                                           signs in again at once
 *   bad-name, name-not-allowed, version,             ends
 *     bad-message
 *   token-missing, token-invalid, token-expired      ends; if `token` is a function, the first attempt gets a second one
 *   name-taken                                       tries again; ends when it comes NAME_TAKEN_LIMIT times in a row
 *   anything else: unavailable, restarting,          tries again, with increasing delays, for as long as it takes
 *     too-many, not-allowed, unreachable, ...
 *
 * The first sign-in is not retried: connect() rejects with the error.
 */

import { Backlog } from './backlog.js';
import { asError, IceboxError, refusalError } from './errors.js';
import { openEvents, sendKeepalive } from './events.js';
import { openWebSocket } from './websocket.js';

/** @typedef {import('./websocket.js').Transport} Transport */
/** @typedef {import('./websocket.js').Environment} Environment */

/**
 * @typedef {object} SessionOptions
 * @property {string} url
 * @property {string} [name]
 * @property {() => Promise<string | undefined>} token the JWT or the API key
 * @property {boolean} renewable whether each call of token gives a new one
 * @property {string} [replace]
 * @property {'auto' | 'websocket' | 'events'} transport
 * @property {Environment} environment
 */

/**
 * @typedef {object} SessionHooks
 * @property {(welcome: any) => void} welcome the client has signed in, for the first time or again
 * @property {(message: any) => void} message a message arrived that is not a reply to a request
 * @property {() => void} change the state or the problem changed
 * @property {() => boolean} urgent whether the user is in a call, so that a lost connection has to be detected and replaced
 *   sooner
 */

/** @typedef {'connecting' | 'connected' | 'waiting' | 'closed'} SessionState */

const PING_MS = 25_000;
const URGENT_PING_MS = 10_000;
const PONG_MS = 5_000;
/** The time for a pong after the network may have changed. */
const PROBE_MS = 2_500;
/** After this many refusals in a row because the name is taken, the session assumes that another client keeps the name. */
const NAME_TAKEN_LIMIT = 4;
/** From this attempt to reconnect on, a client whose WebSockets have worked also tries server-sent events. */
const EVENTS_FROM_ATTEMPT = 4;
/** The refusals that would be the same at the next attempt. */
const PERMANENT = new Set(['token-missing', 'token-invalid', 'token-expired', 'bad-name', 'name-not-allowed', 'version', 'bad-message']);
/** The refusals that come from icebox itself, so another transport would get the same one. */
const SERVER_REFUSALS = new Set([...PERMANENT, 'name-taken', 'resync', 'too-many']);

export class Session {
  /** @type {SessionState} */
  state = 'connecting';
  /** Why there is no connection, while there is none. @type {IceboxError | null} */
  problem = null;
  /** The number of attempts to reconnect since the last connection. */
  attempts = 0;
  /** @type {'websocket' | 'events' | null} */
  kind = null;
  /** The secret with which a new connection, or a new client after a reload, proves to be this client. */
  secret = '';

  #options;
  #hooks;
  /** @type {Transport | null} */
  #transport = null;
  #backlog = new Backlog();
  /**
   * The requests without a reply, by their ref.
   * @type {Map<number, {onReply: (reply: any) => void, resolve: (reply: any) => void, reject: (failure: IceboxError) => void}>}
   */
  #pending = new Map();
  #lastRef = 0;
  #nameTakenCount = 0;
  #webSocketWorked = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retryTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pingTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #pongTimer;

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
      await this.#startSession(this.#options.replace);
    } catch (failure) {
      this.#finish(asError(failure, 'unreachable'));
      throw this.problem;
    }
  }

  /**
   * Sends a message: at once if there is a connection, otherwise on the next one.
   * @param {any} message
   */
  send(message) {
    if (this.state === 'closed') return;
    const text = this.#backlog.encode(message);
    this.#transport?.send([text]);
  }

  /**
   * Sends a message and waits for the reply.
   * @param {any} message
   * @param {(reply: any) => void} [onReply] called with the reply before any later message is processed
   * @returns {Promise<any>} rejects with the server's refusal, or with the code lost or closed if the connection ended first: the
   *   server may or may not have acted on the request
   */
  request(message, onReply = () => {}) {
    if (this.state === 'closed') return Promise.reject(new IceboxError('closed', 'The connection to the server is closed.'));
    return new Promise((resolve, reject) => {
      this.#lastRef += 1;
      this.#pending.set(this.#lastRef, { onReply, resolve, reject });
      this.send({ ...message, ref: this.#lastRef });
    });
  }

  /** Reconnects now if the session is waiting to do so. Pings the connection if there is one, to check that it still works. */
  probe() {
    if (this.state === 'waiting') this.#reconnect();
    else if (this.state === 'connected') this.#sendPing(PROBE_MS);
  }

  /**
   * Ends the session on both sides.
   * @param {boolean} [unloading] whether the user leaves the page, so that messages sent over a WebSocket may be lost
   */
  close(unloading = false) {
    const bye = JSON.stringify({ type: 'bye' });
    const { url, environment } = this.#options;
    if (unloading && this.state !== 'closed') sendKeepalive({ url, environment }, this.secret, [...this.#backlog.unackedTexts, bye]);
    this.#finish(null, bye);
  }

  /**
   * @param {IceboxError | null} problem
   * @param {string} [finalText]
   */
  #finish(problem, finalText) {
    if (this.state === 'closed') return;
    this.#closeTransport(finalText);
    clearTimeout(this.#retryTimer);
    this.#setState('closed', problem);
    this.#rejectPending(problem ?? new IceboxError('closed', 'The connection to the server is closed.'));
  }

  /** Rejects all requests without a reply. @param {IceboxError} why */
  #rejectPending(why) {
    const requests = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of requests) reject(why);
  }

  /** @param {string} [finalText] */
  #closeTransport(finalText) {
    clearTimeout(this.#pingTimer);
    clearTimeout(this.#pongTimer);
    this.#transport?.close(finalText);
    this.#transport = null;
  }

  /**
   * Signs in.
   * @param {string} [replace] the secret of the session whose name to take over
   */
  async #startSession(replace) {
    const token = await this.#options.token();
    const hello = { type: 'hello', v: 1, name: this.#options.name || undefined, token: token || undefined, replace: replace || undefined };
    const { first, transport } = await this.#openTransport(hello);
    if (this.state === 'closed') return transport.close(JSON.stringify({ type: 'bye' }));
    this.#backlog = new Backlog();
    this.#rejectPending(new IceboxError('lost', 'The connection to the server was lost. Try again.'));
    this.secret = first.resume;
    this.#hooks.welcome(first);
    this.#useTransport(transport);
  }

  /** Resumes the session on a new connection. */
  async #resumeSession() {
    const { first, transport } = await this.#openTransport({ type: 'hello', v: 1, resume: this.secret, seq: this.#backlog.received });
    if (this.state === 'closed') return transport.close();
    this.#backlog.record(first);
    this.#useTransport(transport);
  }

  /**
   * Connects with the transport of the options; auto tries a WebSocket first, and then server-sent events.
   * @param {any} hello
   * @returns {Promise<{first: any, transport: Transport}>}
   */
  async #openTransport(hello) {
    const { url, environment, transport } = this.#options;
    const opening = { url, hello, environment };
    if (transport === 'events') return openEvents(opening);
    try {
      const opened = await openWebSocket(opening);
      this.#webSocketWorked = true;
      return opened;
    } catch (failure) {
      const { code } = asError(failure, 'unreachable');
      // While a server restarts, its WebSockets fail for a moment. That does not mean that this network breaks WebSockets.
      if (transport === 'websocket' || SERVER_REFUSALS.has(code) || (this.#webSocketWorked && this.attempts < EVENTS_FROM_ATTEMPT)) throw failure;
      return openEvents(opening);
    }
  }

  /** @param {Transport} transport */
  #useTransport(transport) {
    this.#transport = transport;
    this.kind = transport.kind;
    this.attempts = 0;
    this.#nameTakenCount = 0;
    transport.send([this.#backlog.encode({ type: 'ack' }), ...this.#backlog.unackedTexts]);
    this.#setState('connected', null);
    if (this.#transport !== transport) return; // a listener has closed the client
    this.#onAlive();
    transport.start({
      message: (message) => this.#transport === transport && this.#receive(message),
      alive: () => this.#transport === transport && this.#onAlive(),
      lost: () => this.#transport === transport && this.#onLost(),
    });
  }

  #onLost() {
    this.#closeTransport();
    if (this.state === 'closed') return;
    this.#retryLater(new IceboxError('lost', 'The connection to the server was lost.'));
  }

  /** @param {IceboxError} problem */
  #retryLater(problem) {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.#reconnect(), retryDelay(this.attempts, this.#hooks.urgent()));
    this.attempts += 1;
    this.#setState('waiting', problem);
  }

  /** Makes one attempt to reconnect. */
  async #reconnect() {
    clearTimeout(this.#retryTimer);
    this.#setState('connecting', this.problem);
    try {
      await this.#resumeSession().catch((failure) => {
        if (this.state === 'closed') return;
        if (failure.code !== 'resync') throw failure;
        return this.#startSession(this.secret);
      });
    } catch (thrown) {
      if (this.state !== 'closed') this.#onRefusal(asError(thrown, 'unreachable'));
    }
  }

  /** @param {IceboxError} failure */
  #onRefusal(failure) {
    this.#nameTakenCount = failure.code === 'name-taken' ? this.#nameTakenCount + 1 : 0;
    const final = PERMANENT.has(failure.code) && !(this.#options.renewable && failure.code.startsWith('token-') && this.attempts < 2);
    if (final || this.#nameTakenCount >= NAME_TAKEN_LIMIT) this.#finish(failure);
    else this.#retryLater(failure);
  }

  /** Handles a message of the current connection. @param {any} message */
  #receive(message) {
    this.#onAlive();
    const place = this.#backlog.record(message);
    if (place === 'gap') return this.#onLost(); // resuming makes the server send the missing message again
    if (place === 'old') return;
    if (this.#backlog.ackDue) this.send({ type: 'ack' });
    if (message.type === 'bye') return this.#onBye(message);
    if (message.type === 'ack' || message.type === 'pong' || message.type === 'resumed') return;
    const request = this.#pending.get(message.ref);
    if (!request) return this.#hooks.message(message);
    this.#pending.delete(message.ref);
    if (message.type === 'error') return request.reject(refusalError(message));
    request.onReply(message);
    request.resolve(message);
  }

  /** @param {{reason: string, reconnect?: boolean}} bye */
  #onBye({ reason, reconnect }) {
    if (reason === 'token-expired' && !this.#options.renewable) {
      return this.#finish(new IceboxError('token-expired', 'Your sign-in has expired.'));
    }
    if (reconnect) return this.#onLost();
    this.#finish(new IceboxError(reason, 'You are now signed in somewhere else under the same name.'));
  }

  /** Restarts the timers after a sign of life from the server. */
  #onAlive() {
    clearTimeout(this.#pongTimer);
    clearTimeout(this.#pingTimer);
    if (!this.#transport?.pings) return;
    this.#pingTimer = setTimeout(() => this.#sendPing(PONG_MS), this.#hooks.urgent() ? URGENT_PING_MS : PING_MS);
  }

  /** @param {number} within milliseconds for the pong; after that the connection counts as lost */
  #sendPing(within) {
    clearTimeout(this.#pongTimer);
    this.#pongTimer = setTimeout(() => this.#onLost(), within);
    this.send({ type: 'ping' });
  }

  /**
   * @param {SessionState} state
   * @param {IceboxError | null} problem
   */
  #setState(state, problem) {
    this.state = state;
    this.problem = problem;
    this.#hooks.change();
  }
}

/**
 * The delay before an attempt to reconnect, in milliseconds. It doubles with each attempt up to a maximum, and is random, so that
 * the clients of a restarted server do not all come back at the same moment.
 * @param {number} attempt counted from 0
 * @param {boolean} urgent whether the user is in a call, which lowers the maximum
 * @param {number} [random] from 0 to 1
 * @returns {number}
 */
export function retryDelay(attempt, urgent, random = Math.random()) {
  return Math.min(urgent ? 2_500 : 20_000, 300 * 2 ** attempt) * (0.5 + random / 2);
}

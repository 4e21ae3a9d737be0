/** A signed-in client: it sends messages, watches presence, and makes calls. */

import { Call } from './call.js';
import { Emitter } from './emitter.js';
import { IceboxError, refusalError } from './errors.js';
import { LocalMedia, openMedia } from './media.js';
import { Ringing } from './ringing.js';
import { Session } from './session.js';

/** @typedef {import('./session.js').SessionOptions} SessionOptions */
/** @typedef {import('./websocket.js').Environment} Environment */

/**
 * @typedef {object} CallOptions
 * @property {LocalMedia | import('./media.js').Wish} [media] the media to send: a LocalMedia, which the application has to
 *   close, or the kinds of media to open for this call
 * @property {'all' | 'relay'} [policy] relay: connect through a relay only, which hides the client's address from the others
 * @property {number} [max] the most parties in a call that is created; 2 by default
 * @property {number} [timeout] how long to ring, in milliseconds; 45,000 by default
 */

/**
 * @extends {Emitter<{state: void, message: {from: string, name: string, kind: string, data: any}, presence: {name: string, online: boolean},
 *   iceservers: RTCIceServer[], call: import('./incoming.js').IncomingCall, gone: {from: string, name: string}, problem: IceboxError, close: IceboxError | null}>}
 */
export class Client extends Emitter {
  id = '';
  name = '';
  /** For connections that the application makes itself. They are replaced before their credentials expire. @type {RTCIceServer[]} */
  iceServers = [];
  /** Why there are no ICE servers. @type {IceboxError | null} */
  iceError = null;
  /** The limits of this server. @type {Record<string, number>} */
  limits = {};

  #session;
  #environment;
  #tag = newTag();
  #watched = new Set();
  /** @type {Set<Call>} */
  #calls = new Set();
  #ringing;
  #closeEmitted = false;
  #unwatchNetwork = () => {};

  /** @param {SessionOptions} options */
  constructor(options) {
    super();
    this.#environment = options.environment;
    this.#session = new Session(options, {
      welcome: (welcome) => this.#onWelcome(welcome),
      message: (message) => this.#receive(message),
      change: () => this.#onSessionChange(),
      urgent: () => this.#calls.size > 0,
    });
    this.#ringing = new Ringing({
      calls: this.#calls,
      send: (message) => this.#session.send(message),
      request: (message) => this.#session.request(message),
      callHost: () => this.#callHost(),
      newCall: (callOptions, name) => this.#newCall(callOptions, name),
      openMedia: (callOptions) => this.#openMedia(callOptions),
      openCall: (call, request) => this.#openCall(call, request),
      announce: (incoming) => this.emit('call', incoming),
      reportProblem: (failure) => this.emit('problem', failure),
    });
  }

  /** Signs in. Called once. */
  async open() {
    await this.#session.signIn();
    this.#unwatchNetwork = this.#watchNetwork();
    return this;
  }

  /** @returns {'connected' | 'reconnecting' | 'closed'} */
  get state() {
    const { state } = this.#session;
    return state === 'connected' || state === 'closed' ? state : 'reconnecting';
  }

  /** Why there is no connection; null while there is one. */
  get problem() {
    return this.#session.problem;
  }

  /** The transport in use: 'websocket', 'events', or null before the first connection. */
  get transport() {
    return this.#session.kind;
  }

  /** The secret of this session, for connect({ replace }) after a reload. */
  get secret() {
    return this.#session.secret;
  }

  /** The calls that the client is in. */
  get calls() {
    return [...this.#calls];
  }

  /**
   * Sends a message to another client.
   * @param {string | {name: string} | {id: string}} to a name, or an ID
   * @param {string} kind letters, digits and hyphens
   * @param {any} data
   * @returns {Promise<void>} resolves when the server has passed the message on
   */
  async send(to, kind, data) {
    await this.#session.request({ type: 'send', ...address(to), kind, data });
  }

  /** Emits the event presence for each of these names: now, and whenever it comes online or goes offline. @param {...string} names */
  async watch(...names) {
    for (const name of names) this.#watched.add(name);
    await this.#session.request({ type: 'watch', names });
  }

  /** Stops watching these names. @param {...string} names */
  async unwatch(...names) {
    for (const name of names) this.#watched.delete(name);
    await this.#session.request({ type: 'unwatch', names });
  }

  /**
   * Creates a call that others can join by its ID.
   * @param {CallOptions} [options]
   * @returns {Promise<Call>}
   */
  async createCall(options = {}) {
    const call = await this.#newCall(options);
    await this.#openCall(call, { type: 'create', max: options.max });
    return call;
  }

  /**
   * Joins a call.
   * @param {string} id
   * @param {CallOptions} [options]
   * @returns {Promise<Call>}
   */
  async join(id, options = {}) {
    const call = await this.#newCall(options);
    await this.#openCall(call, { type: 'join', call: id });
    return call;
  }

  /**
   * Calls a client by its name. If that client is calling this one, answers its call instead.
   * @param {string} name
   * @param {CallOptions} [options]
   * @returns {Promise<Call>} the call that rings, or the answered call
   */
  async call(name, options = {}) {
    return this.#ringing.call(name, { ...options, ...(await this.#openMedia(options)) });
  }

  /** Reconnects without waiting for the next attempt. If there is a connection, finds out whether it still works. */
  reconnect() {
    this.#session.probe();
  }

  /**
   * Leaves all calls and ends the session.
   * @param {{unloading?: boolean}} [why] unloading: whether the user leaves the page
   */
  close({ unloading = false } = {}) {
    for (const call of this.calls) call.leave();
    this.#ringing.declineAll();
    this.#session.close(unloading);
  }

  /**
   * Opens the media of a call, unless the caller passed a LocalMedia.
   * @param {CallOptions & {ownsMedia?: boolean}} options
   * @returns {Promise<{media: LocalMedia, ownsMedia: boolean}>}
   */
  async #openMedia({ media, ownsMedia }) {
    if (media instanceof LocalMedia) return { media, ownsMedia: ownsMedia ?? false };
    return { media: await openMedia(media, this.#environment.mediaDevices), ownsMedia: true };
  }

  /**
   * @param {CallOptions} options
   * @param {string} [name]
   */
  async #newCall(options, name) {
    const call = new Call(this.#callHost(), { ...options, ...(await this.#openMedia(options)), name });
    this.#calls.add(call);
    return call;
  }

  /** @returns {import('./call.js').Host} */
  #callHost() {
    return {
      tag: this.#tag, iceServers: this.iceServers, environment: this.#environment,
      send: (message) => this.#session.send(message),
      request: (message, onReply) => this.#session.request(message, onReply),
      reachable: () => this.#session.state === 'connected',
      forget: (call) => this.#calls.delete(call),
    };
  }

  /**
   * Creates or joins the call on the server.
   * @param {Call} call
   * @param {any} request the message create or join
   */
  async #openCall(call, request) {
    try {
      await this.#session.request(request, (reply) => call.onJoined(reply));
    } catch (failure) {
      call.finish('lost');
      throw failure;
    }
  }

  /** Handles the first sign-in and each later one, after which watched names and calls have to be restored. @param {any} welcome */
  #onWelcome({ id, name = '', iceServers, iceError, limits }) {
    const signedInBefore = this.id !== '';
    Object.assign(this, { id, name, limits: limits ?? {} });
    this.#setIceServers(iceServers, iceError);
    if (!signedInBefore) return;
    if (this.#watched.size > 0) this.#session.request({ type: 'watch', names: [...this.#watched] }).catch(() => {});
    for (const call of this.calls) void this.#rejoin(call);
  }

  /** @param {Call} call a call that the client was in before it had to sign in again */
  async #rejoin(call) {
    await call.rejoin();
    this.#ringing.ringAgain(call);
  }

  /**
   * @param {RTCIceServer[]} [iceServers]
   * @param {any} [iceError]
   */
  #setIceServers(iceServers, iceError) {
    this.iceError = iceError ? new IceboxError(iceError.code, iceError.message) : null;
    if (!iceServers) return; // the old ones may still work
    this.iceServers = iceServers;
    this.emit('iceservers', iceServers);
  }

  #onSessionChange() {
    const { state, problem } = this.#session;
    if (state === 'connected') for (const call of this.calls) call.onResumed();
    this.emit('state', undefined);
    if (state !== 'closed' || this.#closeEmitted) return;
    this.#closeEmitted = true;
    this.#unwatchNetwork();
    for (const call of this.calls) call.finish('closed');
    this.#ringing.close();
    this.emit('close', problem);
  }

  /** Handles a message that is not a reply. @param {any} message */
  #receive(message) {
    const { type, call, from, fromName = '', kind, data } = message;
    if (call && type !== 'error') return this.calls.find(({ id }) => id === call)?.receive(message);
    switch (type) {
      case 'message':
        if (!this.#ringing.onMessage(from, fromName, kind, data)) this.emit('message', { from, name: fromName, kind, data });
        return;
      case 'presence':
        this.emit('presence', { name: message.name, online: message.online });
        return;
      case 'ice': return this.#setIceServers(message.iceServers, message.iceError);
      case 'gone':
        this.#ringing.onGone(from, fromName);
        this.emit('gone', { from, name: fromName });
        return;
      case 'error':
        this.emit('problem', refusalError(message));
    }
  }

  /** Checks the connection whenever the network may have changed. @returns {() => void} stops that */
  #watchNetwork() {
    const onOnline = () => {
      this.#session.probe();
      for (const call of this.calls) call.onNetworkChange();
    };
    const onVisible = () => globalThis.document?.visibilityState !== 'hidden' && this.#session.probe();
    const network = /** @type {any} */ (globalThis.navigator)?.connection;
    globalThis.addEventListener?.('online', onOnline);
    globalThis.document?.addEventListener('visibilitychange', onVisible);
    network?.addEventListener?.('change', onVisible);
    return () => {
      globalThis.removeEventListener?.('online', onOnline);
      globalThis.document?.removeEventListener('visibilitychange', onVisible);
      network?.removeEventListener?.('change', onVisible);
    };
  }
}

/** @param {string | {name: string} | {id: string}} to */
function address(to) {
  if (typeof to === 'string') return { to };
  return 'id' in to ? { toId: to.id } : { to: to.name };
}

/**
 * A random tag by which other clients recognize this page, even after a new sign-in. crypto.randomUUID would not do,
 * because browsers offer it to secure pages only.
 */
function newTag() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(36).padStart(2, '0')).join('');
}

/** A signed-in client: messages, presence, and calls. */

import { Call } from './call.js';
import { Emitter } from './emitter.js';
import { IceboxError, refused } from './errors.js';
import { LocalMedia, openMedia } from './media.js';
import { Ringing } from './ringing.js';
import { Session } from './session.js';

/** @typedef {import('./session.js').SessionOptions} SessionOptions */
/** @typedef {import('./websocket.js').Environment} Environment */

/**
 * @typedef {object} CallOptions
 * @property {LocalMedia | import('./media.js').Wish} [media] what to send: media that are open, which stay the caller's, or what
 *   to open and to close with the call
 * @property {'all' | 'relay'} [policy] relay: let nobody see one's address
 * @property {number} [max] parties, when a call is made: 2 if left out
 * @property {number} [timeout] milliseconds to ring for: 45,000 if left out
 */

/**
 * @extends {Emitter<{state: void, message: {from: string, name: string, kind: string, data: any}, presence: {name: string, online: boolean},
 *   iceservers: RTCIceServer[], call: import('./incoming.js').IncomingCall, gone: {from: string, name: string}, problem: IceboxError, close: IceboxError | null}>}
 */
export class Client extends Emitter {
  id = '';
  name = '';
  /** Good for new connections outside of calls; replaced before they expire. @type {RTCIceServer[]} */
  iceServers = [];
  /** Why there are no ICE servers. @type {IceboxError | null} */
  iceError = null;
  /** What the server allows. @type {Record<string, number>} */
  limits = {};

  #session;
  #environment;
  #tag = newTag();
  #watched = new Set();
  /** @type {Set<Call>} */
  #calls = new Set();
  #ringing;
  #closed = false;
  #stopListening = () => {};

  /** @param {SessionOptions} options */
  constructor(options) {
    super();
    this.#environment = options.environment;
    this.#session = new Session(options, {
      welcome: (welcome) => this.#welcome(welcome),
      message: (message) => this.#receive(message),
      change: () => this.#changed(),
      urgent: () => this.#calls.size > 0,
    });
    this.#ringing = new Ringing({
      calls: this.#calls,
      send: (message) => this.#session.send(message),
      request: (message) => this.#session.request(message),
      host: () => this.#host(),
      newCall: (callOptions, name) => this.#newCall(callOptions, name),
      media: (callOptions) => this.#media(callOptions),
      enter: (call, request) => this.#enter(call, request),
      announce: (incoming) => this.emit('call', incoming),
      problem: (failure) => this.emit('problem', failure),
    });
  }

  /** Signs in, once. */
  async open() {
    await this.#session.signIn();
    this.#stopListening = this.#listen();
    return this;
  }

  /** @returns {'connected' | 'reconnecting' | 'closed'} */
  get state() {
    const { state } = this.#session;
    return state === 'connected' || state === 'closed' ? state : 'reconnecting';
  }

  /** Why there is no connection, while there is none. */
  get problem() {
    return this.#session.problem;
  }

  /** What carries the messages. */
  get transport() {
    return this.#session.kind;
  }

  /** What proves to be this client, for connect({replace}) after a reload. */
  get secret() {
    return this.#session.secret;
  }

  /** The calls one is in. */
  get calls() {
    return [...this.#calls];
  }

  /**
   * Sends a message to another client.
   * @param {string | {name: string} | {id: string}} to a name, or an ID
   * @param {string} kind letters, digits and hyphens
   * @param {any} data
   * @returns {Promise<void>} fulfilled when it has been passed on
   */
  async send(to, kind, data) {
    await this.#session.request({ type: 'send', ...address(to), kind, data });
  }

  /** @param {...string} names whose coming and going is told from now on, as the event presence */
  async watch(...names) {
    for (const name of names) this.#watched.add(name);
    await this.#session.request({ type: 'watch', names });
  }

  /** @param {...string} names */
  async unwatch(...names) {
    for (const name of names) this.#watched.delete(name);
    await this.#session.request({ type: 'unwatch', names });
  }

  /**
   * Makes a call that others can join by its ID.
   * @param {CallOptions} [options]
   * @returns {Promise<Call>}
   */
  async createCall(options = {}) {
    const call = await this.#newCall(options);
    await this.#enter(call, { type: 'create', max: options.max });
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
    await this.#enter(call, { type: 'join', call: id });
    return call;
  }

  /**
   * Calls somebody by name, who is calling us perhaps.
   * @param {string} name
   * @param {CallOptions} [options]
   * @returns {Promise<Call>} one that rings, or the answer to theirs
   */
  async call(name, options = {}) {
    return this.#ringing.call(name, { ...options, ...(await this.#media(options)) });
  }

  /** Connects at once instead of waiting, and makes sure that a connection lives. */
  reconnect() {
    this.#session.probe();
  }

  /**
   * Leaves all calls and ends the session.
   * @param {{unloading?: boolean}} [why] unloading: the page is being left
   */
  close({ unloading = false } = {}) {
    for (const call of this.calls) call.leave();
    this.#ringing.decline();
    this.#session.close(unloading);
  }

  /** @param {CallOptions & {owned?: boolean}} options @returns {Promise<{media: LocalMedia, owned: boolean}>} */
  async #media({ media, owned }) {
    if (media instanceof LocalMedia) return { media, owned: owned ?? false };
    return { media: await openMedia(media, this.#environment.mediaDevices), owned: true };
  }

  /**
   * @param {CallOptions} options
   * @param {string} [name]
   */
  async #newCall(options, name) {
    const call = new Call(this.#host(), { ...options, ...(await this.#media(options)), name });
    this.#calls.add(call);
    return call;
  }

  /** @returns {import('./call.js').Host} */
  #host() {
    return {
      tag: this.#tag, iceServers: this.iceServers, environment: this.#environment,
      send: (message) => this.#session.send(message),
      request: (message) => this.#session.request(message),
      reachable: () => this.#session.state === 'connected',
      forget: (call) => this.#calls.delete(call),
    };
  }

  /**
   * @param {Call} call
   * @param {any} request
   */
  async #enter(call, request) {
    try {
      call.enter(await this.#session.request(request));
    } catch (failure) {
      call.finish('lost');
      throw failure;
    }
  }

  /** @param {any} welcome */
  #welcome({ id, name = '', iceServers, iceError, limits }) {
    const again = this.id !== '';
    Object.assign(this, { id, name, limits: limits ?? {} });
    this.#takeServers(iceServers, iceError);
    if (!again) return;
    if (this.#watched.size > 0) this.#session.request({ type: 'watch', names: [...this.#watched] }).catch(() => {});
    for (const call of this.calls) void this.#rejoin(call);
  }

  /** @param {Call} call */
  async #rejoin(call) {
    await call.rejoin();
    this.#ringing.again(call);
  }

  /**
   * @param {RTCIceServer[]} [iceServers]
   * @param {any} [iceError]
   */
  #takeServers(iceServers, iceError) {
    this.iceError = iceError ? new IceboxError(iceError.code, iceError.message) : null;
    if (!iceServers) return; // the old ones are better than none
    this.iceServers = iceServers;
    this.emit('iceservers', iceServers);
  }

  #changed() {
    const { state, problem } = this.#session;
    if (state === 'connected') for (const call of this.calls) call.resumed();
    this.emit('state', undefined);
    if (state !== 'closed' || this.#closed) return;
    this.#closed = true;
    this.#stopListening();
    for (const call of this.calls) call.finish('closed');
    this.#ringing.close();
    this.emit('close', problem);
  }

  /** @param {any} message */
  #receive(message) {
    const { type, call, from, fromName = '', kind, data } = message;
    if (call && type !== 'error') return this.calls.find(({ id }) => id === call)?.receive(message);
    switch (type) {
      case 'message':
        if (!this.#ringing.take(from, fromName, kind, data)) this.emit('message', { from, name: fromName, kind, data });
        return;
      case 'presence':
        this.emit('presence', { name: message.name, online: message.online });
        return;
      case 'ice': return this.#takeServers(message.iceServers, message.iceError);
      case 'gone':
        this.#ringing.gone(from, fromName);
        this.emit('gone', { from, name: fromName });
        return;
      case 'error':
        this.emit('problem', refused(message));
    }
  }

  /** Sees to the network's changes. */
  #listen() {
    const online = () => {
      this.#session.probe();
      for (const call of this.calls) call.moved();
    };
    const seen = () => globalThis.document?.visibilityState !== 'hidden' && this.#session.probe();
    const network = /** @type {any} */ (globalThis.navigator)?.connection;
    globalThis.addEventListener?.('online', online);
    globalThis.document?.addEventListener('visibilitychange', seen);
    network?.addEventListener?.('change', seen);
    return () => {
      globalThis.removeEventListener?.('online', online);
      globalThis.document?.removeEventListener('visibilitychange', seen);
      network?.removeEventListener?.('change', seen);
    };
  }
}

/** @param {string | {name: string} | {id: string}} to */
function address(to) {
  if (typeof to === 'string') return { to };
  return 'id' in to ? { toId: to.id } : { to: to.name };
}

/** A name of our own for as long as the page lives. randomUUID is kept from insecure pages, this is not. */
function newTag() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(36).padStart(2, '0')).join('');
}

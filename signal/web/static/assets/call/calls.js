/**
 * The user's calls, one at a time: how they begin, ring and end. No DOM. The states of the page:
 *
 *   idle -> preparing -> ringing | waiting -> connecting -> in-call <-> interrupted -> idle
 *   idle -> incoming -> preparing -> connecting -> ...
 */

import { callWords, endWords, noRouteWords } from './words.js';

/** @typedef {import('../../sdk/icebox.js').Client} Client */
/** @typedef {import('../../sdk/icebox.js').Call} Call */
/** @typedef {import('../../sdk/icebox.js').IncomingCall} IncomingCall */
/** @typedef {import('../../sdk/icebox.js').LocalMedia} LocalMedia */
/** @typedef {'idle' | 'preparing' | 'ringing' | 'waiting' | 'incoming' | 'connecting' | 'in-call' | 'interrupted'} CallState */

/**
 * @typedef {object} Tools
 * @property {() => Promise<LocalMedia>} openMedia opens camera and microphone; rejects with an error to show to the user
 * @property {() => 'all' | 'relay'} policy
 * @property {() => void} onChange the state, a party or the notice changed
 * @property {(call: Call) => void} onStart a call has started to ring, to wait or to connect
 */

export class Calls {
  /** The message about the last event, for the user. */
  notice = '';
  /** @type {Call | null} */
  call = null;
  /** @type {IncomingCall | null} */
  incoming = null;
  /** @type {LocalMedia | null} */
  media = null;
  /** The name of the other side, for a call by name; otherwise empty. */
  name = '';
  #tools;
  /** @type {Client | null} */
  #client = null;
  /** The call that is being prepared; null, or another object, once it was cancelled. @type {object | null} */
  #attempt = null;

  /** @param {Tools} tools */
  constructor(tools) {
    this.#tools = tools;
  }

  /** @returns {CallState} */
  get state() {
    if (this.call) return this.call.state === 'connected' ? 'in-call' : this.call.state === 'ended' ? 'idle' : this.call.state;
    if (this.#attempt) return 'preparing';
    return this.incoming ? 'incoming' : 'idle';
  }

  /** @param {Client} client */
  attach(client) {
    this.#client = client;
    client.on('call', (incoming) => this.#onIncoming(incoming));
  }

  /**
   * Calls another client by its name.
   * @param {string} name
   */
  start(name) {
    return this.#begin(name, (client, options) => client.call(name, options));
  }

  /** Creates a call with a link. */
  create() {
    return this.#begin('', (client, options) => client.createCall({ ...options, max: client.limits.parties || 2 }));
  }

  /**
   * Joins a call by its ID.
   * @param {string} id
   */
  join(id) {
    return this.#begin('', (client, options) => client.join(id, options));
  }

  /** Answers the incoming call. */
  accept() {
    const { incoming } = this;
    if (incoming) return this.#begin(incoming.name, (_, options) => incoming.answer(options));
  }

  /** Declines, cancels or hangs up. A call with a link continues without this user. */
  hangUp() {
    const { call, incoming } = this;
    if (call && this.name === '') call.leave();
    else if (call) call.hangUp();
    else if (incoming) incoming.decline();
    this.#finish('');
  }

  /**
   * Opens the media, then makes the call, unless the user cancels meanwhile.
   * @param {string} name
   * @param {(client: Client, options: {media: LocalMedia, policy: 'all' | 'relay'}) => Promise<Call>} make
   */
  async #begin(name, make) {
    const client = this.#client;
    if (!client || this.call || this.#attempt) return;
    const attempt = (this.#attempt = {});
    this.name = name;
    this.#setNotice('');
    try {
      const media = await this.#tools.openMedia();
      if (this.#attempt !== attempt) return media.close();
      this.media = media;
      this.#tools.onChange();
      const call = await make(client, { media, policy: this.#tools.policy() });
      if (this.#attempt !== attempt) return name === '' ? call.leave() : call.hangUp();
      this.#follow(call);
    } catch (failure) {
      if (this.#attempt !== attempt) return;
      this.incoming?.decline();
      this.#finish(callWords(failure, name));
    }
  }

  /** Makes this the current call, and follows its events. @param {Call} call */
  #follow(call) {
    this.#attempt = null;
    this.incoming = null;
    this.call = call;
    let ringing = call.ringing;
    call.on('state', () => {
      ringing = call.ringing;
      if (this.call === call) this.#tools.onChange();
    });
    call.on('end', (end) => {
      if (this.call === call) this.#finish(endWords(end, { self: this.#client?.name ?? '', name: this.name, ringing }));
    });
    call.on('left', ({ party, reason }) => {
      if (this.call !== call || this.name !== '') return;
      const name = party.name || 'A guest';
      this.#setNotice(reason === 'no-route' ? noRouteWords(name) : `${name} left the call.`);
    });
    this.#tools.onStart(call);
    if (call.ended) this.#finish('');
    this.#tools.onChange();
  }

  /** Lets the call ring, or declines it if the user is busy. @param {IncomingCall} incoming */
  #onIncoming(incoming) {
    const caller = incoming.name || 'A guest';
    if (this.#attempt && !this.incoming && this.name === incoming.name) return; // the user is about to call them, which answers this call
    if (this.call || this.#attempt || this.incoming) {
      incoming.decline('busy');
      this.#setNotice(`${caller} tried to call you.`);
      return;
    }
    this.incoming = incoming;
    this.name = incoming.name;
    incoming.on('end', (outcome) => {
      if (this.incoming !== incoming || outcome === 'answered' || outcome === 'declined') return;
      this.#finish(`You missed a call from ${caller}.`);
    });
    this.#setNotice('');
  }

  /** Goes back to the state idle. @param {string} notice */
  #finish(notice) {
    this.#attempt = null;
    this.call = null;
    this.incoming = null;
    this.media?.close();
    this.media = null;
    this.#setNotice(notice);
  }

  /** @param {string} notice */
  #setNotice(notice) {
    this.notice = notice;
    this.#tools.onChange();
  }
}

/**
 * The calls of one person, one at a time: who rings, who answers, how it ends. No DOM.
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
 * @property {() => Promise<LocalMedia>} media opens camera and microphone; rejects in words
 * @property {() => 'all' | 'relay'} policy
 * @property {() => void} changed the state, a party or the notice changed
 * @property {(call: Call) => void} began a call is there to be listened to
 */

export class Calls {
  /** What happened last, in words. */
  notice = '';
  /** @type {Call | null} */
  call = null;
  /** @type {IncomingCall | null} */
  incoming = null;
  /** @type {LocalMedia | null} */
  media = null;
  /** Whom the call is with, if it is by name. */
  name = '';
  #tools;
  /** @type {Client | null} */
  #client = null;
  /** What is being prepared; another object when that was given up. @type {object | null} */
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
    client.on('call', (incoming) => this.#ask(incoming));
  }

  /**
   * Calls a name.
   * @param {string} name
   */
  start(name) {
    return this.#begin(name, (client, options) => client.call(name, options));
  }

  /** Makes a call with a link. */
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

  /** Answers the call that comes in. */
  accept() {
    const { incoming } = this;
    if (incoming) return this.#begin(incoming.name, (_, options) => incoming.answer(options));
  }

  /** Declines, cancels or hangs up. A call with a link goes on without us. */
  hangUp() {
    const { call, incoming } = this;
    if (call && this.name === '') call.leave();
    else if (call) call.hangUp();
    else if (incoming) incoming.decline();
    this.#end('');
  }

  /**
   * @param {string} name
   * @param {(client: Client, options: {media: LocalMedia, policy: 'all' | 'relay'}) => Promise<Call>} make
   */
  async #begin(name, make) {
    const client = this.#client;
    if (!client || this.call || this.#attempt) return;
    const attempt = (this.#attempt = {});
    this.name = name;
    this.#say('');
    try {
      const media = await this.#tools.media();
      if (this.#attempt !== attempt) return media.close();
      this.media = media;
      this.#tools.changed();
      const call = await make(client, { media, policy: this.#tools.policy() });
      if (this.#attempt !== attempt) return name === '' ? call.leave() : call.hangUp();
      this.#take(call);
    } catch (failure) {
      if (this.#attempt !== attempt) return;
      this.incoming?.decline();
      this.#end(callWords(failure, name));
    }
  }

  /** @param {Call} call */
  #take(call) {
    this.#attempt = null;
    this.incoming = null;
    this.call = call;
    let ringing = call.ringing;
    call.on('state', () => {
      ringing = call.ringing;
      if (this.call === call) this.#tools.changed();
    });
    call.on('end', (end) => {
      if (this.call === call) this.#end(endWords(end, { self: this.#client?.name ?? '', name: this.name, ringing }));
    });
    call.on('left', ({ party, reason }) => {
      if (this.call !== call || this.name !== '') return;
      const who = party.name || 'A guest';
      this.#say(reason === 'no-route' ? noRouteWords(who) : `${who} left the call.`);
    });
    this.#tools.began(call);
    if (call.ended) this.#end('');
    this.#tools.changed();
  }

  /** @param {IncomingCall} incoming */
  #ask(incoming) {
    const who = incoming.name || 'Somebody';
    if (this.#attempt && !this.incoming && this.name === incoming.name) return; // we are about to call them: that answers it
    if (this.call || this.#attempt || this.incoming) {
      incoming.decline('busy');
      this.#say(`${who} tried to call you.`);
      return;
    }
    this.incoming = incoming;
    this.name = incoming.name;
    incoming.on('end', (outcome) => {
      if (this.incoming !== incoming || outcome === 'answered' || outcome === 'declined') return;
      this.#end(`${who} called, and hung up again.`);
    });
    this.#say('');
  }

  /** @param {string} notice */
  #end(notice) {
    this.#attempt = null;
    this.call = null;
    this.incoming = null;
    this.media?.close();
    this.media = null;
    this.#say(notice);
  }

  /** @param {string} notice */
  #say(notice) {
    this.notice = notice;
    this.#tools.changed();
  }
}

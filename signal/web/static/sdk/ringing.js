/**
 * Calls by name. The caller creates a call and sends its ID in a message of the kind "ring". The other client joins the
 * call to answer it, or sends "ring-declined". A caller that gives up sends "ring-cancel". Clients of other protocols know
 * none of these messages, so this module calls them directly, with an offer.
 */

import { DirectCall } from './direct.js';
import { IceboxError } from './errors.js';
import { IncomingCall } from './incoming.js';

/** @typedef {import('./call.js').Call} Call */
/** @typedef {import('./client.js').CallOptions} CallOptions */
/** @typedef {import('./media.js').LocalMedia} LocalMedia */

/**
 * The functions and values of the client that this module uses.
 * @typedef {object} RingingHost
 * @property {Set<Call>} calls
 * @property {(message: any) => void} send
 * @property {(message: any) => Promise<any>} request
 * @property {() => import('./call.js').Host} callHost
 * @property {(options: CallOptions, name: string) => Promise<Call>} newCall
 * @property {(options: CallOptions) => Promise<{media: LocalMedia, ownsMedia: boolean}>} openMedia
 * @property {(call: Call, request: any) => Promise<void>} openCall creates or joins the call on the server
 * @property {(incoming: IncomingCall) => boolean} announce emits the event call, and reports whether there is a listener
 * @property {(failure: IceboxError) => void} reportProblem
 */

const RING_MS = 45_000;

export class Ringing {
  #host;
  /** @type {Set<IncomingCall>} */
  #incoming = new Set();

  /** @param {RingingHost} host */
  constructor(host) {
    this.#host = host;
  }

  /**
   * Calls a client, or answers it if it is calling this client.
   * @param {string} name
   * @param {CallOptions & {media: LocalMedia}} options
   * @returns {Promise<Call>}
   */
  async call(name, options) {
    const theirs = [...this.#incoming].find((one) => one.name === name);
    if (theirs) return theirs.answer(options);
    const call = await this.#host.newCall(options, name);
    call.ringing = true;
    await this.#host.openCall(call, { type: 'create', max: 2 });
    try {
      await this.#host.request(ringMessage(call));
    } catch (failure) {
      if (call.ended || !(failure instanceof IceboxError) || failure.code !== 'peer-unsupported') {
        call.hangUp();
        throw failure;
      }
      call.sendHangUp(); // not call.finish(), which would close the media that the direct call needs
      this.#host.calls.delete(call);
      return this.#callDirectly(name, options);
    }
    this.#watchRinging(call, options);
    return call;
  }

  /**
   * Rings again after the client has had to sign in again.
   * @param {Call} call
   */
  ringAgain(call) {
    if (call.ringing && !call.ended) this.#host.send(ringMessage(call));
  }

  /** Declines all incoming calls. */
  declineAll() {
    for (const incoming of [...this.#incoming]) incoming.decline();
  }

  /** Ends all incoming calls without telling the callers. */
  close() {
    for (const incoming of [...this.#incoming]) incoming.finish('closed');
  }

  /**
   * Handles a message outside of calls.
   * @param {string} from
   * @param {string} name
   * @param {string} kind
   * @param {any} data
   * @returns {boolean} false if the kind is none of those that this module handles
   */
  onMessage(from, name, kind, data) {
    const incoming = [...this.#incoming];
    const ours = [...this.#host.calls].find((call) => call.ringing && call.name === name && call.id === data?.call);
    switch (kind) {
      case 'ring':
        this.#onRing(from, name, String(data?.call ?? ''));
        return true;
      case 'ring-cancel':
        incoming.find((one) => one.from === from && one.call === data?.call)?.finish('cancelled');
        return true;
      case 'ring-declined':
        ours?.finish(data?.reason === 'busy' ? 'busy' : 'declined', name);
        return true;
      case 'offer': case 'answer': case 'candidate': case 'leave':
        this.#onDirect(from, name, kind, data);
        return true;
    }
    return false;
  }

  /**
   * Handles the end of another client's session.
   * @param {string} from
   * @param {string} name
   */
  onGone(from, name) {
    for (const incoming of [...this.#incoming]) if (incoming.from === from) incoming.finish('cancelled');
    for (const call of [...this.#host.calls]) {
      if (call instanceof DirectCall && call.name === name) call.onGone();
      else if (call.ringing && call.name === name) call.finish('gone', name);
    }
  }

  /**
   * Ends the call if nobody answers before the timeout. If it ends while it rings, tells the other client, unless that
   * client already knows.
   * @param {Call} call
   * @param {CallOptions} options
   */
  #watchRinging(call, { timeout = RING_MS }) {
    const timer = setTimeout(() => call.ringing && call.finish('no-answer', call.name), timeout);
    call.once('party', () => clearTimeout(timer));
    call.once('end', ({ reason }) => {
      clearTimeout(timer);
      if (!call.ringing) return;
      if (reason !== 'hangup' && reason !== 'left') call.sendHangUp();
      if (call.id && reason !== 'declined' && reason !== 'busy' && reason !== 'gone') {
        this.#host.send({ type: 'send', to: call.name, kind: 'ring-cancel', data: { call: call.id } });
      }
    });
  }

  /**
   * @param {string} name
   * @param {CallOptions & {media: LocalMedia}} options
   */
  async #callDirectly(name, options) {
    const call = new DirectCall(this.#host.callHost(), options, { name });
    this.#host.calls.add(call);
    try {
      await call.ring();
    } catch (failure) {
      call.finish('gone');
      throw failure;
    }
    this.#watchRinging(call, options);
    return call;
  }

  /**
   * Handles a ring. If both clients ring each other at the same time, the call whose ID sorts first is used.
   * @param {string} from
   * @param {string} name
   * @param {string} id
   */
  #onRing(from, name, id) {
    const again = [...this.#incoming].find((one) => one.call === id);
    if (again) {
      again.from = from; // the caller has a new ID, because it rings again after a new sign-in
      return;
    }
    const ours = [...this.#host.calls].find((call) => call.ringing && call.name === name && name !== '');
    if (!ours) return this.#announce(this.#incomingByID(from, name, id));
    if (ours instanceof DirectCall || (ours.id !== '' && ours.id < id)) return;
    ours.sendHangUp();
    ours.id = ''; // messages about the abandoned call must not reach this object
    this.#host.openCall(ours, { type: 'join', call: id }).catch(this.#host.reportProblem);
  }

  /**
   * An incoming call that is answered by joining the call with this ID.
   * @param {string} from
   * @param {string} name
   * @param {string} id
   */
  #incomingByID(from, name, id) {
    /** @type {IncomingCall} */
    const incoming = new IncomingCall({ from, name, call: id }, async (options = {}) => {
      const call = await this.#host.newCall(options, name);
      await this.#host.openCall(call, { type: 'join', call: id });
      return call;
    }, (reason) => this.#host.send({ type: 'send', toId: incoming.from, kind: 'ring-declined', data: { call: id, reason } }));
    return incoming;
  }

  /**
   * Handles a message of a direct call.
   * @param {string} from
   * @param {string} name
   * @param {string} kind
   * @param {any} data
   */
  #onDirect(from, name, kind, data) {
    const direct = [...this.#host.calls].find((call) => call instanceof DirectCall && (call.peer === from || call.name === name));
    const asked = [...this.#incoming].find((one) => one.from === from && one.call === '');
    if (direct instanceof DirectCall) direct.onMessage(kind, data);
    else if (asked && kind === 'leave') asked.finish('cancelled');
    else if (asked && kind === 'candidate') asked.messages.push({ kind, data });
    else if (kind === 'offer') this.#onOffer(from, name, data);
  }

  /**
   * Handles the offer of a client that calls directly.
   * @param {string} from
   * @param {string} name
   * @param {any} offer
   */
  #onOffer(from, name, offer) {
    const incoming = new IncomingCall({ from, name, call: '' }, async (options = {}) => {
      const call = new DirectCall(this.#host.callHost(), { ...options, ...(await this.#host.openMedia(options)) }, { id: from, name });
      this.#host.calls.add(call);
      call.answer(incoming.messages);
      return call;
    }, () => this.#host.send({ type: 'send', toId: from, kind: 'leave' }));
    incoming.messages.push({ kind: 'offer', data: offer });
    this.#announce(incoming);
  }

  /** Emits the event call. Without a listener, declines the call as busy. @param {IncomingCall} incoming */
  #announce(incoming) {
    this.#incoming.add(incoming);
    incoming.once('end', () => this.#incoming.delete(incoming));
    if (!this.#host.announce(incoming)) incoming.decline('busy');
  }
}

/** @param {Call} call */
function ringMessage(call) {
  return { type: 'send', to: call.name, kind: 'ring', data: { call: call.id } };
}

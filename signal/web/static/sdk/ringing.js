/**
 * Calls by name: the caller makes a call and tells the other its ID in a message of the kind "ring"; who answers joins the
 * call, who doesn't says "ring-declined", and a caller who gives up says "ring-cancel". Clients of other protocols are called
 * directly, with an offer.
 */

import { DirectCall } from './direct.js';
import { IceboxError } from './errors.js';
import { IncomingCall } from './incoming.js';

/** @typedef {import('./call.js').Call} Call */
/** @typedef {import('./client.js').CallOptions} CallOptions */
/** @typedef {import('./media.js').LocalMedia} LocalMedia */

/**
 * What this needs of the client.
 * @typedef {object} Inside
 * @property {Set<Call>} calls
 * @property {(message: any) => void} send
 * @property {(message: any) => Promise<any>} request
 * @property {() => import('./call.js').Host} host
 * @property {(options: CallOptions, name: string) => Promise<Call>} newCall
 * @property {(options: CallOptions) => Promise<{media: LocalMedia, owned: boolean}>} media
 * @property {(call: Call, request: any) => Promise<void>} enter
 * @property {(incoming: IncomingCall) => boolean} announce
 * @property {(failure: IceboxError) => void} problem
 */

const RING_MS = 45_000;

export class Ringing {
  #inside;
  /** @type {Set<IncomingCall>} */
  #incoming = new Set();

  /** @param {Inside} inside */
  constructor(inside) {
    this.#inside = inside;
  }

  /**
   * Calls somebody, or answers them if they are calling us.
   * @param {string} name
   * @param {CallOptions & {media: LocalMedia}} options
   * @returns {Promise<Call>}
   */
  async call(name, options) {
    const theirs = [...this.#incoming].find((one) => one.name === name);
    if (theirs) return theirs.answer(options);
    const call = await this.#inside.newCall(options, name);
    call.ringing = true;
    await this.#inside.enter(call, { type: 'create', max: 2 });
    try {
      await this.#inside.request(ring(call));
    } catch (failure) {
      if (call.ended || !(failure instanceof IceboxError) || failure.code !== 'peer-unsupported') {
        call.hangUp();
        throw failure;
      }
      call.sayHangUp();
      this.#inside.calls.delete(call);
      return this.#callDirectly(name, options);
    }
    this.#wait(call, options);
    return call;
  }

  /**
   * Rings again after a new sign-in.
   * @param {Call} call
   */
  again(call) {
    if (call.ringing && !call.ended) this.#inside.send(ring(call));
  }

  /** Declines whatever comes in. */
  decline() {
    for (const incoming of [...this.#incoming]) incoming.decline();
  }

  /** Ends without a word. */
  close() {
    for (const incoming of [...this.#incoming]) incoming.finish('closed');
  }

  /**
   * Takes a message that belongs to no call yet.
   * @param {string} from
   * @param {string} name
   * @param {string} kind
   * @param {any} data
   * @returns {boolean} false if it is none of ours
   */
  take(from, name, kind, data) {
    const incoming = [...this.#incoming];
    const ours = [...this.#inside.calls].find((call) => call.ringing && call.name === name && call.id === data?.call);
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
   * Somebody's session is over.
   * @param {string} from
   * @param {string} name
   */
  gone(from, name) {
    for (const incoming of [...this.#incoming]) if (incoming.from === from) incoming.finish('cancelled');
    for (const call of [...this.#inside.calls]) {
      if (call instanceof DirectCall && call.name === name) call.gone();
      else if (call.ringing && call.name === name) call.finish('gone', name);
    }
  }

  /**
   * Gives up in time, and tells the other side when there is nothing left to answer.
   * @param {Call} call
   * @param {CallOptions} options
   */
  #wait(call, { timeout = RING_MS }) {
    const timer = setTimeout(() => call.ringing && call.finish('no-answer', call.name), timeout);
    call.once('party', () => clearTimeout(timer));
    call.once('end', ({ reason }) => {
      clearTimeout(timer);
      if (!call.ringing) return;
      if (reason !== 'hangup' && reason !== 'left') call.sayHangUp();
      if (call.id && reason !== 'declined' && reason !== 'busy' && reason !== 'gone') {
        this.#inside.send({ type: 'send', to: call.name, kind: 'ring-cancel', data: { call: call.id } });
      }
    });
  }

  /**
   * @param {string} name
   * @param {CallOptions & {media: LocalMedia}} options
   */
  async #callDirectly(name, options) {
    const call = new DirectCall(this.#inside.host(), options, { name });
    this.#inside.calls.add(call);
    try {
      await call.ring();
    } catch (failure) {
      call.finish('gone');
      throw failure;
    }
    this.#wait(call, options);
    return call;
  }

  /**
   * Both may ring at once: then the call whose ID sorts first is the one.
   * @param {string} from
   * @param {string} name
   * @param {string} id
   */
  #onRing(from, name, id) {
    const again = [...this.#incoming].find((one) => one.call === id);
    if (again) {
      again.from = from; // its server has restarted
      return;
    }
    const ours = [...this.#inside.calls].find((call) => call.ringing && call.name === name && name !== '');
    if (!ours) return this.#announce(this.#byID(from, name, id));
    if (ours instanceof DirectCall || (ours.id !== '' && ours.id < id)) return;
    ours.sayHangUp();
    ours.id = ''; // what ends is not this one
    this.#inside.enter(ours, { type: 'join', call: id }).catch(this.#inside.problem);
  }

  /**
   * @param {string} from
   * @param {string} name
   * @param {string} id
   */
  #byID(from, name, id) {
    /** @type {IncomingCall} */
    const incoming = new IncomingCall({ from, name, call: id }, async (options = {}) => {
      const call = await this.#inside.newCall(options, name);
      await this.#inside.enter(call, { type: 'join', call: id });
      return call;
    }, (reason) => this.#inside.send({ type: 'send', toId: incoming.from, kind: 'ring-declined', data: { call: id, reason } }));
    return incoming;
  }

  /**
   * @param {string} from
   * @param {string} name
   * @param {string} kind
   * @param {any} data
   */
  #onDirect(from, name, kind, data) {
    const direct = [...this.#inside.calls].find((call) => call instanceof DirectCall && (call.peer === from || call.name === name));
    const asked = [...this.#incoming].find((one) => one.from === from && one.call === '');
    if (direct instanceof DirectCall) direct.take(kind, data);
    else if (asked && kind === 'leave') asked.finish('cancelled');
    else if (asked && kind === 'candidate') asked.messages.push({ kind, data });
    else if (kind === 'offer') this.#onOffer(from, name, data);
  }

  /**
   * @param {string} from
   * @param {string} name
   * @param {any} offer
   */
  #onOffer(from, name, offer) {
    const incoming = new IncomingCall({ from, name, call: '' }, async (options = {}) => {
      const call = new DirectCall(this.#inside.host(), { ...options, ...(await this.#inside.media(options)) }, { id: from, name });
      this.#inside.calls.add(call);
      call.answer(incoming.messages);
      return call;
    }, () => this.#inside.send({ type: 'send', toId: from, kind: 'leave' }));
    incoming.messages.push({ kind: 'offer', data: offer });
    this.#announce(incoming);
  }

  /** @param {IncomingCall} incoming */
  #announce(incoming) {
    this.#incoming.add(incoming);
    incoming.once('end', () => this.#incoming.delete(incoming));
    if (!this.#inside.announce(incoming)) incoming.decline('busy');
  }
}

/** @param {Call} call */
function ring(call) {
  return { type: 'send', to: call.name, kind: 'ring', data: { call: call.id } };
}

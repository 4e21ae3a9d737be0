/**
 * A call with a client of another protocol, such as the classic one, which knows neither calls by ID nor anything
 * of this SDK: an offer, an answer, candidates, and a leave, between two names.
 */

import { Call } from './call.js';

/** @typedef {import('./call.js').Host} Host */
/** @typedef {import('./call.js').CallSetup} CallSetup */

export class DirectCall extends Call {
  /** @type {import('./party.js').Party | null} */
  #other = null;
  /** @type {string} */
  peer;

  /**
   * @param {Host} host
   * @param {CallSetup} setup
   * @param {{id?: string, name: string}} peer
   */
  constructor(host, setup, { id = '', name }) {
    super(host, { ...setup, name });
    this.peer = id;
  }

  /**
   * Offers a call.
   * @returns {Promise<void>} rejects if the server can't pass the offer on
   */
  ring() {
    this.ringing = true;
    return new Promise((resolve, reject) => {
      this.#offered = { resolve, reject };
      this.#meet().begin();
      this.ringing = true; // until there is an answer
      this.update();
    });
  }

  /** @type {{resolve: () => void, reject: (failure: unknown) => void} | null} */
  #offered = null;

  /**
   * Answers a call.
   * @param {{kind: string, data: any}[]} messages what has come: an offer, and candidates
   */
  answer(messages) {
    this.#meet();
    for (const { kind, data } of messages) this.take(kind, data);
  }

  /**
   * @param {string} kind
   * @param {any} data
   */
  take(kind, data) {
    if (kind === 'leave') return this.finish('hangup', this.name);
    if (kind === 'answer') this.ringing = false;
    if (kind === 'candidate') void this.#other?.candidate(data);
    else void this.#other?.description(data);
    this.update();
  }

  /** The server says that the other side's session is over: the media may flow on. */
  gone() {
    if (this.#other?.connected) this.#other.absentSince = Date.now();
    else this.finish(this.ringing ? 'gone' : 'hangup', this.name);
  }

  /**
   * @override
   * @param {string} _to
   * @param {string} kind
   * @param {any} data
   */
  sendTo(_to, kind, data) {
    const to = this.peer ? { toId: this.peer } : { to: this.name };
    const sent = this.host.request({ type: 'send', ...to, kind, ...(kind !== 'leave' && { data }) });
    const offered = this.#offered;
    this.#offered = null;
    sent.then(offered?.resolve, offered?.reject ?? (() => {}));
  }

  /** @override */
  sayLeave() {
    this.sendTo('', 'leave', null);
  }

  /** @override */
  sayHangUp() {
    this.sendTo('', 'leave', null);
  }

  /** @override There is no call to join; the media flow on. */
  async rejoin() {
    this.peer = '';
    if (this.ringing) this.finish('lost');
  }

  #meet() {
    this.#other = this.meet({ tag: this.name, id: this.peer, name: this.name, plain: true });
    return this.#other;
  }
}

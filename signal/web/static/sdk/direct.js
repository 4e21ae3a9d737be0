/**
 * A call with a client of another protocol, such as the classic one. That client knows neither calls by ID nor this SDK, so the
 * call consists of an offer, an answer, candidates, and a leave between two names.
 */

import { Call } from './call.js';

/** @typedef {import('./call.js').Host} Host */
/** @typedef {import('./call.js').CallSetup} CallSetup */

export class DirectCall extends Call {
  /** @type {import('./party.js').Party | null} */
  #party = null;
  /** The other client's ID; empty while only its name is known. @type {string} */
  peer;

  /**
   * @param {Host} host
   * @param {CallSetup} setup
   * @param {{id?: string, name: string}} other
   */
  constructor(host, setup, { id = '', name }) {
    super(host, { ...setup, name });
    this.peer = id;
  }

  /**
   * Calls the other client.
   * @returns {Promise<void>} resolves when the server has passed the offer on, and rejects if it can't
   */
  ring() {
    this.ringing = true;
    return new Promise((resolve, reject) => {
      this.#offerResult = { resolve, reject };
      this.#connect().beginOffer();
      this.ringing = true; // until the answer arrives; adding the party has cleared it
      this.updateState();
    });
  }

  /** Settles the promise of ring. @type {{resolve: () => void, reject: (failure: unknown) => void} | null} */
  #offerResult = null;

  /**
   * Answers the other client's call.
   * @param {{kind: string, data: any}[]} messages the offer and the candidates that have arrived
   */
  answer(messages) {
    this.#connect();
    for (const { kind, data } of messages) this.onMessage(kind, data);
  }

  /**
   * Handles a message of this call.
   * @param {string} kind
   * @param {any} data
   */
  onMessage(kind, data) {
    if (kind === 'leave') return this.finish('hangup', this.name);
    if (kind === 'answer') this.ringing = false;
    if (kind === 'candidate') void this.#party?.onCandidate(data);
    else void this.#party?.onDescription(data);
    this.updateState();
  }

  /** Called when the server reports that the other client's session is over. Media may still arrive. */
  onGone() {
    if (this.#party?.connected) this.#party.absentSince = Date.now();
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
    const result = this.#offerResult;
    this.#offerResult = null;
    sent.then(result?.resolve, result?.reject ?? (() => {}));
  }

  /** @override */
  sendLeave() {
    this.sendTo('', 'leave', null);
  }

  /** @override */
  sendHangUp() {
    this.sendTo('', 'leave', null);
  }

  /** @override The server does not know this call, so there is nothing to join again. Media may still arrive. */
  async rejoin() {
    this.peer = '';
    if (this.ringing) this.finish('lost');
  }

  #connect() {
    this.#party = this.addParty({ tag: this.name, id: this.peer, name: this.name, foreign: true });
    return this.#party;
  }
}

/** An incoming call. It rings until the user answers or declines it, until the caller gives up, or until RING_MS has passed. */

import { Emitter } from './emitter.js';
import { IceboxError } from './errors.js';

/** @typedef {import('./call.js').Call} Call */
/** @typedef {'cancelled' | 'declined' | 'answered' | 'timeout' | 'closed'} Outcome */

/** The time after which the ringing ends if the caller's ring-cancel never arrives. It is longer than a caller waits by default (45 s). */
const RING_MS = 60_000;

/** @extends {Emitter<{end: Outcome}>} */
export class IncomingCall extends Emitter {
  /** The caller's name, empty if it has none. */
  name;
  /** The caller's client ID. */
  from;
  /** The call's ID; empty if the caller uses a protocol without calls by ID. */
  call;
  /** Whether the call has stopped ringing here, for any reason. */
  over = false;
  /** The offer and the candidates of a call that has no ID. @type {{kind: string, data: any}[]} */
  messages = [];
  #onAnswer;
  #onDecline;
  #timer;

  /**
   * @param {{name: string, from: string, call: string}} caller
   * @param {(options: any) => Promise<Call>} onAnswer
   * @param {(reason: string) => void} onDecline
   */
  constructor({ name, from, call }, onAnswer, onDecline) {
    super();
    this.name = name;
    this.from = from;
    this.call = call;
    this.#onAnswer = onAnswer;
    this.#onDecline = onDecline;
    this.#timer = setTimeout(() => this.finish('timeout'), RING_MS);
  }

  /**
   * Joins the call.
   * @param {import('./client.js').CallOptions} [options]
   * @returns {Promise<Call>}
   */
  async answer(options) {
    if (this.over) throw new IceboxError('ended', 'This call is over.');
    const call = await this.#onAnswer(options); // if the caller gives up meanwhile, finish does nothing
    this.finish('answered');
    return call;
  }

  /**
   * Tells the caller that the user does not answer.
   * @param {'declined' | 'busy'} [reason]
   */
  decline(reason = 'declined') {
    if (this.over) return;
    this.#onDecline(reason);
    this.finish('declined');
  }

  /** Ends the ringing. @param {Outcome} outcome */
  finish(outcome) {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.#timer);
    this.emit('end', outcome);
  }
}

/** A call that comes in: it rings until somebody answers or declines it, or the caller gives up. */

import { Emitter } from './emitter.js';
import { IceboxError } from './errors.js';

/** @typedef {import('./call.js').Call} Call */
/** @typedef {'cancelled' | 'declined' | 'answered' | 'timeout' | 'closed'} Outcome */

/** Longer than any caller waits. */
const RING_MS = 60_000;

/** @extends {Emitter<{end: Outcome}>} */
export class IncomingCall extends Emitter {
  /** The caller's name, empty if it has none, and its ID. */
  name;
  from;
  /** The call's ID; empty if the caller's protocol has none. */
  call;
  over = false;
  /** What came with a call that has no ID. @type {{kind: string, data: any}[]} */
  messages = [];
  #accept;
  #refuse;
  #timer;

  /**
   * @param {{name: string, from: string, call: string}} who
   * @param {(options: any) => Promise<Call>} accept
   * @param {(reason: string) => void} refuse
   */
  constructor({ name, from, call }, accept, refuse) {
    super();
    this.name = name;
    this.from = from;
    this.call = call;
    this.#accept = accept;
    this.#refuse = refuse;
    this.#timer = setTimeout(() => this.finish('timeout'), RING_MS);
  }

  /**
   * Joins the call.
   * @param {import('./client.js').CallOptions} [options]
   * @returns {Promise<Call>}
   */
  async answer(options) {
    if (this.over) throw new IceboxError('ended', 'This call is over.');
    const call = await this.#accept(options); // still over if the caller gives up while devices are opened
    this.finish('answered');
    return call;
  }

  /**
   * Tells the caller that there will be no answer.
   * @param {'declined' | 'busy'} [reason]
   */
  decline(reason = 'declined') {
    if (this.over) return;
    this.#refuse(reason);
    this.finish('declined');
  }

  /** @param {Outcome} outcome */
  finish(outcome) {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.#timer);
    this.emit('end', outcome);
  }
}

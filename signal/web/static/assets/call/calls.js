/**
 * The calls of one signed-in person, one at a time: who rings, who answers, what
 * happens when both call at once. No DOM.
 *
 *   idle -> preparing -> ringing -> connecting -> in-call <-> interrupted -> idle
 *   idle -> incoming -> preparing -> connecting -> ...
 */

import { Call } from './call.js';
import { sentence } from './signalling.js';

/** @typedef {import('./signalling.js').Message} Message */
/** @typedef {import('./call.js').Tools} Tools */
/** @typedef {'idle' | 'preparing' | 'ringing' | 'incoming' | 'connecting' | 'in-call' | 'interrupted'} CallState */

const RING_TIMEOUT_MS = 45_000;
/** How long after a leave the control channel has to close, if it was a real one. */
const LEAVE_GRACE_MS = 2_000;

export class Calls {
  /** @type {CallState} */
  state = 'idle';
  /** @type {Call | null} */
  call = null;
  /** What happened last, in words. */
  notice = '';
  /** Our own name, to settle who gives way when both call at once. */
  self = '';
  #tools;
  #changed;

  /**
   * @param {Tools} tools
   * @param {() => void} changed called when the state, a stream or the notice changed
   */
  constructor(tools, changed) {
    this.#tools = tools;
    this.#changed = changed;
  }

  /**
   * Calls a name.
   * @param {string} name
   */
  async start(name) {
    if (this.call) return;
    const call = this.#take({ name });
    this.#become('preparing');
    try {
      await call.sendOffer(() => this.#ringing(call));
    } catch (failure) {
      this.#fail(call, failure);
    }
  }

  /** Answers the call that comes in. */
  async accept() {
    const call = this.call;
    if (!call || this.state !== 'incoming') return;
    this.#become('preparing');
    try {
      await call.sendAnswer(() => this.#become('connecting'));
    } catch (failure) {
      this.#fail(call, failure);
    }
  }

  /** Declines, cancels or hangs up. */
  hangUp() {
    this.call?.leave();
    this.#end('');
  }

  /** Ends a call that can't begin because the connection to the hub is lost. */
  hubLost() {
    const { call, state } = this;
    if (call && state !== 'in-call' && state !== 'interrupted' && state !== 'connecting') {
      this.#finish(call, 'The connection to the server was lost before the call began.');
    }
  }

  /**
   * Takes a message from the hub.
   * @param {Message} message
   */
  receive(message) {
    if (message.type === 'offer') return this.#onOffer(message);
    const call = this.call;
    if (!call) return;
    if (message.type === 'answer') this.#onAnswer(call, message);
    if (message.type === 'candidate') this.#onCandidate(call, message);
    if (message.type === 'leave' && call.owns(message)) this.#onLeave(call);
    if (message.type === 'error' && call.owns(message)) this.#onError(call, message);
  }

  /** @param {Message} message */
  #onOffer({ name, offer }) {
    if (!name || !offer) return;
    const call = this.call;
    if (call && call.name !== name) {
      this.#tools.send({ type: 'leave', name });
      this.#become(this.state, `${name} tried to call you.`);
    } else if (call?.ours && (this.state === 'preparing' || this.state === 'ringing')) {
      this.#onGlare(call, offer);
    } else if (!call || call.id !== offer.call) {
      call?.close();
      this.#take({ name, id: offer.call, offer });
      this.#become('incoming');
    }
  }

  /**
   * Both called each other. Before our offer is out, theirs is simply answered;
   * else the name that sorts first keeps its offer and the other side gives way.
   * Nobody is asked: whoever calls somebody wants to talk to them.
   * @param {Call} call
   * @param {RTCSessionDescriptionInit & {call?: string}} offer
   */
  #onGlare(call, offer) {
    if (this.state === 'ringing' && this.self < call.name) return;
    this.#take({ name: call.name, id: offer.call, offer }).takeOver(call);
    this.state = 'incoming'; // not shown: it is answered at once
    void this.accept();
  }

  /**
   * @param {Call} call
   * @param {Message} message
   */
  #onAnswer(call, message) {
    const { answer } = message;
    if (!answer || !call.owns(message, answer) || this.state !== 'ringing') return;
    call.stopWaiting();
    this.#become('connecting');
    call.acceptAnswer(answer).catch((failure) => this.#fail(call, failure));
  }

  /**
   * @param {Call} call
   * @param {Message} message
   */
  #onCandidate(call, message) {
    const { candidate } = message;
    if (candidate && call.owns(message, candidate)) call.addCandidate(candidate);
  }

  /**
   * A leave ends the call, except when the other side is one that closes its
   * control channel when it hangs up and does not: then the hub speaks for a
   * socket that broke, and the media may well flow on.
   * @param {Call} call
   */
  #onLeave(call) {
    if (!call.tellsWhenGone) return this.#finish(call, this.#leaveWords(call));
    call.wait(LEAVE_GRACE_MS, () => {
      this.#become(this.state, `${call.name} lost the connection to the server. The call goes on.`);
    });
  }

  /**
   * An error that names the other side ends a call that has no media yet. One
   * that names nobody is about something else, such as our rate.
   * @param {Call} call
   * @param {Message} message
   */
  #onError(call, { code, name, message }) {
    if (!name || (this.state !== 'ringing' && this.state !== 'connecting')) return;
    const words = code === 'peer-offline'
      ? `${call.name} is not signed in. Check the name, or ask them to open this page.`
      : sentence(message || 'the server refused the call');
    this.#finish(call, words);
  }

  /**
   * Makes a call the current one.
   * @param {{name: string, id?: string, offer?: RTCSessionDescriptionInit}} about
   * @returns {Call}
   */
  #take(about) {
    /** @type {Call} */
    const call = new Call(about, this.#tools, {
      stream: () => this.call === call && this.#changed(),
      state: (state) => this.call === call && this.#onConnection(call, state),
      gone: () => this.call === call && this.#finish(call, this.#leaveWords(call)),
    });
    this.call = call;
    return call;
  }

  /** @param {Call} call */
  #ringing(call) {
    call.wait(RING_TIMEOUT_MS, () => {
      call.leave();
      this.#end(`${call.name} did not answer.`);
    });
    this.#become('ringing');
  }

  /**
   * @param {Call} call
   * @param {RTCPeerConnectionState} state
   */
  #onConnection(call, state) {
    if (state === 'connected') this.#become('in-call');
    if (state === 'disconnected') this.#become('interrupted');
    if (state !== 'failed') return;
    const happened = this.state === 'interrupted'
      ? `The connection to ${call.name} broke off.`
      : `No way was found to connect you and ${call.name}.`;
    call.leave();
    this.#end(`${happened} The “Trickle ICE” page shows what your network lets through.`);
  }

  /**
   * @param {Call} call
   * @param {unknown} failure
   */
  #fail(call, failure) {
    if (this.call !== call) return;
    call.leave();
    this.#end(failureWords(failure));
  }

  /**
   * @param {Call} call
   * @param {string} notice
   */
  #finish(call, notice) {
    call.close();
    this.#end(notice);
  }

  /** @param {string} notice */
  #end(notice) {
    this.call = null;
    this.#become('idle', notice);
  }

  /**
   * @param {CallState} state
   * @param {string} [notice]
   */
  #become(state, notice = '') {
    this.state = state;
    this.notice = notice;
    this.#changed();
  }

  /**
   * What the other side's leave means.
   * @param {Call} call
   * @returns {string}
   */
  #leaveWords(call) {
    if (this.state === 'incoming') return `${call.name} called, and hung up again.`;
    if (this.state === 'ringing') return `${call.name} declined, or is in another call.`;
    return `${call.name} hung up.`;
  }
}

/**
 * Our own errors are worded for people; a browser's are of other kinds.
 * @param {unknown} failure
 * @returns {string}
 */
function failureWords(failure) {
  if (failure instanceof Error && failure.name === 'Error') return failure.message;
  return `The browser could not set up the call (${failure instanceof Error ? failure.message : failure}).`;
}

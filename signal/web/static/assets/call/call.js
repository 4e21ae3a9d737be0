/**
 * One call with one other person: its devices, its connection, and what is sent
 * for it. No DOM and no browser API of its own, so that every path can be tested.
 *
 * The protocol has no call ids, and of all messages only an offer bears its
 * sender's name. So our offers, answers and candidates carry an extra member
 * "call" inside their payload, which the hub forwards as it is. What bears
 * another call's id is stale and is dropped; what bears none comes from another
 * client and is taken as it comes.
 */

import { CandidateQueue } from './candidates.js';

/** @typedef {import('./signalling.js').Message} Message */
/** @typedef {import('./peer.js').PeerHooks} PeerHooks */

/**
 * What a call needs of a peer connection; Peer is one.
 * @typedef {object} PeerLike
 * @property {boolean} tellsWhenGone
 * @property {(send: (offer: RTCSessionDescriptionInit) => void) => Promise<void>} offer
 * @property {(offer: RTCSessionDescriptionInit, send: (answer: RTCSessionDescriptionInit) => void) => Promise<void>} answer
 * @property {(answer: RTCSessionDescriptionInit) => Promise<void>} acceptAnswer
 * @property {(candidate: RTCIceCandidateInit) => void} addCandidate
 * @property {() => Promise<RTCStatsReport>} stats
 * @property {() => void} close
 */

/**
 * What a call uses; the same for all calls.
 * @typedef {object} Tools
 * @property {(message: Message) => boolean} send false when there is no connection to the hub
 * @property {() => Promise<MediaStream>} media opens camera and microphone; rejects in words
 * @property {(stream: MediaStream) => void} release gives them back
 * @property {(stream: MediaStream, queue: CandidateQueue, hooks: PeerHooks) => Promise<PeerLike>} connect
 *   makes a connection; rejects in words
 */

/**
 * What a call reports, until it is closed.
 * @typedef {object} CallEvents
 * @property {() => void} stream local or remote media are there
 * @property {(state: RTCPeerConnectionState) => void} state the connection's state changed
 * @property {() => void} gone the other side hung up
 */

export class Call {
  /** @type {MediaStream | null} */
  local = null;
  /** @type {MediaStream | null} */
  remote = null;
  closed = false;
  #queue = new CandidateQueue();
  /** @type {PeerLike | null} */
  #peer = null;
  #tools;
  #events;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {{name: string, id?: string, offer?: RTCSessionDescriptionInit}} about the
   *   other side; an offer when it is they who call
   * @param {Tools} tools
   * @param {CallEvents} events
   */
  constructor({ name, id = newId(), offer }, tools, events) {
    this.name = name;
    this.id = id;
    this.theirOffer = offer;
    this.#tools = tools;
    this.#events = events;
  }

  /** Whether it is we who call. */
  get ours() {
    return this.theirOffer === undefined;
  }

  /** Whether the other side closes its control channel when it hangs up. */
  get tellsWhenGone() {
    return this.#peer?.tellsWhenGone ?? false;
  }

  /**
   * Opens devices and connection and sends our offer, if the call is not closed
   * meanwhile.
   * @param {() => void} sent called when the offer is on its way
   */
  async sendOffer(sent) {
    const peer = await this.#open();
    await peer?.offer((offer) => {
      this.#deliver({ type: 'offer', name: this.name, offer: { ...offer, call: this.id } });
      sent();
    });
  }

  /**
   * Opens devices and connection and answers their offer, if the call is not
   * closed meanwhile.
   * @param {() => void} sent called when the answer is on its way
   */
  async sendAnswer(sent) {
    const peer = await this.#open();
    if (!this.theirOffer) return;
    await peer?.answer(this.theirOffer, (answer) => {
      this.#deliver({ type: 'answer', name: this.name, answer: { ...answer, call: this.id } });
      sent();
    });
  }

  /** @param {RTCSessionDescriptionInit} answer */
  async acceptAnswer(answer) {
    await this.#peer?.acceptAnswer(answer);
  }

  /** @param {RTCIceCandidateInit & {call?: string}} candidate */
  addCandidate({ call: _, ...candidate }) {
    if (this.#peer) this.#peer.addCandidate(candidate);
    else this.#queue.push(candidate);
  }

  /**
   * Whether a message is about this call.
   * @param {Message} message
   * @param {{call?: string}} [payload] its offer, answer or candidate
   */
  owns(message, payload) {
    if (message.name && message.name !== this.name) return false;
    return !payload?.call || payload.call === this.id;
  }

  /** The connection's statistics, or null before there is one. */
  async stats() {
    return this.#peer ? this.#peer.stats() : null;
  }

  /**
   * Calls back after a time, unless the call is closed or another wait begins.
   * @param {number} milliseconds
   * @param {() => void} then
   */
  wait(milliseconds, then) {
    this.stopWaiting();
    this.#timer = setTimeout(then, milliseconds);
  }

  stopWaiting() {
    clearTimeout(this.#timer);
  }

  /** Tells the other side that the call is over, and closes it. */
  leave() {
    this.#tools.send({ type: 'leave', name: this.name });
    this.close();
  }

  /** Ends connection and devices without a word to the other side. */
  close() {
    this.closed = true;
    this.stopWaiting();
    this.#peer?.close();
    if (this.local) this.#tools.release(this.local);
  }

  /**
   * The devices of a call that this one takes the place of.
   * @param {Call} other which is closed without them
   */
  takeOver(other) {
    this.local = other.local;
    other.local = null;
    other.close();
  }

  /** @returns {Promise<PeerLike | null>} null when the call was closed meanwhile */
  async #open() {
    const local = this.local ?? (await this.#tools.media());
    if (this.closed) {
      this.#tools.release(local);
      return null;
    }
    this.local = local;
    this.#events.stream();
    const peer = await this.#tools.connect(local, this.#queue, this.#peerHooks());
    if (this.closed) {
      peer.close();
      return null;
    }
    this.#peer = peer;
    return peer;
  }

  /** @returns {PeerHooks} */
  #peerHooks() {
    return {
      candidate: (candidate) => {
        this.#tools.send({ type: 'candidate', name: this.name, candidate: { ...candidate, call: this.id } });
      },
      stream: (stream) => {
        this.remote = stream;
        this.#events.stream();
      },
      state: (state) => this.#events.state(state),
      gone: () => this.#events.gone(),
    };
  }

  /** @param {Message} message */
  #deliver(message) {
    if (this.closed) throw new Error('The call is over.');
    if (!this.#tools.send(message)) {
      throw new Error('There is no connection to the server. Try again in a moment.');
    }
  }
}

/** An id that no other call has. randomUUID is kept from insecure pages, this is not. */
function newId() {
  const random = crypto.getRandomValues(new Uint8Array(9));
  return Array.from(random, (byte) => byte.toString(36).padStart(2, '0')).join('');
}

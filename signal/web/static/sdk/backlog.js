/**
 * The sequence numbers of both directions, and the numbered messages that the server has not acknowledged. After a lost
 * connection the session sends these again.
 */

/** The types without a number: they belong to one connection and are never sent again. */
const UNNUMBERED = new Set(['hello', 'ack', 'ping', 'bye']);
/** After this many numbered messages of the server, an acknowledgement is due. */
const ACK_EVERY = 8;

export class Backlog {
  #seq = 0;
  #received = 0;
  #sinceAck = 0;
  /** @type {{seq: number, text: string}[]} */
  #unacked = [];

  /** The highest number that was received from the server. */
  get received() {
    return this.#received;
  }

  /**
   * Encodes a message, with an acknowledgement if there is anything to acknowledge. A message of a numbered type gets the next
   * number, and is kept until the server acknowledges it.
   * @param {any} message
   * @returns {string}
   */
  encode(message) {
    if (this.#received > 0) {
      message = { ...message, ack: this.#received };
      this.#sinceAck = 0;
    }
    if (UNNUMBERED.has(message.type)) return JSON.stringify(message);
    this.#seq += 1;
    const text = JSON.stringify({ ...message, seq: this.#seq });
    this.#unacked.push({ seq: this.#seq, text });
    return text;
  }

  /**
   * Records a message from the server: its number, and the acknowledgement in it.
   * @param {any} message
   * @returns {'new' | 'old' | 'gap'} old: it was received before; gap: a message before it is missing
   */
  record({ type, seq, ack }) {
    if (type === 'ack' || type === 'pong' || type === 'resumed') this.dropUpTo(ack ?? 0);
    if (type === 'resumed' || !seq) return 'new'; // the seq of resumed is the server's highest number, not that of the message
    if (seq <= this.#received) return 'old';
    if (seq > this.#received + 1) return 'gap';
    this.#received = seq;
    this.#sinceAck += 1;
    return 'new';
  }

  /** Whether to acknowledge now, without waiting for a message to carry the acknowledgement. */
  get ackDue() {
    return this.#sinceAck >= ACK_EVERY;
  }

  /**
   * Drops the messages that the server has received.
   * @param {number} seq the highest number that the server has received
   */
  dropUpTo(seq) {
    this.#unacked = this.#unacked.filter((one) => one.seq > seq);
  }

  /** The messages that the server has not acknowledged, in order. */
  get unackedTexts() {
    return this.#unacked.map(({ text }) => text);
  }
}

/** What was sent and may have to be sent again: the numbers of both directions. */

/** Messages that belong to a connection and are not numbered. */
const UNNUMBERED = new Set(['hello', 'ack', 'ping', 'bye']);
/** How many numbered messages come before the server is told that we have them. */
const ACK_EVERY = 8;

export class Backlog {
  #seq = 0;
  #had = 0;
  #unacked = 0;
  /** @type {{seq: number, text: string}[]} */
  #kept = [];

  /** The number of the server's latest message. */
  get had() {
    return this.#had;
  }

  /**
   * A message as text, numbered and kept if it is of that kind.
   * @param {any} message
   * @returns {string}
   */
  text(message) {
    if (this.#had > 0) {
      message = { ...message, ack: this.#had };
      this.#unacked = 0;
    }
    if (UNNUMBERED.has(message.type)) return JSON.stringify(message);
    this.#seq += 1;
    const text = JSON.stringify({ ...message, seq: this.#seq });
    this.#kept.push({ seq: this.#seq, text });
    return text;
  }

  /**
   * Notes a message of the server.
   * @param {any} message
   * @returns {'new' | 'old' | 'gap'}
   */
  take({ type, seq, ack }) {
    if (type === 'ack' || type === 'pong' || type === 'resumed') this.acked(ack ?? 0);
    if (type === 'resumed' || !seq) return 'new'; // resumed says how far the server is, not its own number
    if (seq <= this.#had) return 'old';
    if (seq > this.#had + 1) return 'gap';
    this.#had = seq;
    this.#unacked += 1;
    return 'new';
  }

  /** Whether the server should be told what we have. */
  get owesAck() {
    return this.#unacked >= ACK_EVERY;
  }

  /**
   * Forgets what the server has.
   * @param {number} seq
   */
  acked(seq) {
    this.#kept = this.#kept.filter((one) => one.seq > seq);
  }

  /** What has to be sent again, in order. */
  get texts() {
    return this.#kept.map(({ text }) => text);
  }
}

/**
 * Remote candidates that come before the description they belong to. The
 * browser refuses these, so they wait here. No DOM.
 */

/** More than any browser gathers; a flood from the other side ends here. */
const LIMIT = 256;

export class CandidateQueue {
  /** @type {RTCIceCandidateInit[]} */
  #waiting = [];
  /** @type {((candidate: RTCIceCandidateInit) => void) | null} */
  #sink = null;

  /**
   * Takes a candidate: passed on when the queue is open, kept when not. The
   * newest is dropped when too many wait.
   * @param {RTCIceCandidateInit} candidate
   */
  push(candidate) {
    if (this.#sink) this.#sink(candidate);
    else if (this.#waiting.length < LIMIT) this.#waiting.push(candidate);
  }

  /**
   * Passes on what waits, in its order, and from now on everything at once.
   * @param {(candidate: RTCIceCandidateInit) => void} sink
   */
  open(sink) {
    this.#sink = sink;
    for (const candidate of this.#waiting.splice(0)) sink(candidate);
  }

  /** How many candidates wait. */
  get length() {
    return this.#waiting.length;
  }
}

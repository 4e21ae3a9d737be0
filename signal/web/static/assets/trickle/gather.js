/** One gathering of candidates, with a connection that connects to nobody. */

import { transportOf } from './uri.js';

/**
 * @typedef {object} CandidateRow
 * @property {number} time milliseconds since the start
 * @property {string} type
 * @property {string} protocol of the candidate: udp or tcp
 * @property {string} relayProtocol of the way to the relay: UDP, TCP, TLS; empty for other types
 * @property {string} url the server it came from; empty when the browser does not say
 * @property {string} foundation
 * @property {string} address
 * @property {number} port
 * @property {number} priority
 */

/**
 * @typedef {object} ErrorRow
 * @property {number} time milliseconds since the start
 * @property {number} code
 * @property {string} text the browser's own words
 * @property {string} url
 * @property {string} from the local address, as far as the browser shows it
 */

/** A browser waits most of a minute for a server that never answers. We don't. */
export const LIMIT_MS = 20_000;

export class Gathering {
  #connection;
  #hooks;
  #began = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {RTCConfiguration} configuration the constructor throws on what is
   *   wrong with it
   * @param {object} hooks
   * @param {(row: CandidateRow) => void} hooks.candidate
   * @param {(row: ErrorRow) => void} hooks.error
   * @param {(end: {time: number, complete: boolean}) => void} hooks.done called
   *   once; complete is false when some server has not answered yet
   */
  constructor(configuration, hooks) {
    this.#connection = new RTCPeerConnection(configuration);
    this.#hooks = hooks;
    this.#connection.onicecandidate = ({ candidate }) => {
      if (candidate?.candidate) hooks.candidate(candidateRow(candidate, this.#elapsed()));
    };
    this.#connection.onicecandidateerror = (event) => {
      hooks.error(errorRow(/** @type {RTCPeerConnectionIceErrorEvent} */ (event), this.#elapsed()));
    };
    this.#connection.onicegatheringstatechange = () => {
      if (this.#connection.iceGatheringState === 'complete') this.#end(true);
    };
  }

  async start() {
    this.#connection.addTransceiver('audio', { direction: 'recvonly' });
    const offer = await this.#connection.createOffer();
    this.#began = performance.now();
    this.#timer = setTimeout(() => this.stop(), LIMIT_MS);
    await this.#connection.setLocalDescription(offer);
  }

  /** Ends the gathering with what has come so far. */
  stop() {
    this.#end(false);
  }

  /** @param {boolean} complete */
  #end(complete) {
    if (this.#connection.signalingState === 'closed') return;
    clearTimeout(this.#timer);
    const time = this.#elapsed();
    this.#connection.close();
    this.#hooks.done({ time, complete });
  }

  #elapsed() {
    return performance.now() - this.#began;
  }
}

/**
 * @param {RTCIceCandidate} candidate
 * @param {number} time
 * @returns {CandidateRow}
 */
export function candidateRow(candidate, time) {
  // Newer than the compiler's list of what a candidate has.
  const { url, relayProtocol } = /** @type {{url?: string, relayProtocol?: string}} */ (candidate);
  const type = candidate.type ?? '';
  return {
    time,
    type,
    protocol: candidate.protocol ?? '',
    relayProtocol: type === 'relay' ? relayProtocol?.toUpperCase() || transportOf(url ?? '') : '',
    url: url ?? '',
    foundation: candidate.foundation ?? '',
    address: (candidate.address ?? '').replace(/^\[|\]$/g, ''),
    port: candidate.port ?? 0,
    priority: candidate.priority ?? 0,
  };
}

/**
 * @param {RTCPeerConnectionIceErrorEvent} event
 * @param {number} time
 * @returns {ErrorRow}
 */
function errorRow(event, time) {
  const { errorCode, errorText, url, address } = event;
  return { time, code: errorCode, text: errorText, url, from: address ?? '' };
}

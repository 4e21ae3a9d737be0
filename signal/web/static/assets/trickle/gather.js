/** Gathers candidates once, with an RTCPeerConnection that never connects. */

import { transportOf } from './uri.js';

/**
 * @typedef {object} CandidateRow
 * @property {number} time milliseconds since the start
 * @property {string} type
 * @property {string} protocol udp or tcp
 * @property {string} relayProtocol between the browser and the relay: UDP, TCP or TLS; empty for other types
 * @property {string} url the server that gave the candidate; empty if the browser does not say
 * @property {string} foundation
 * @property {string} address
 * @property {number} port
 * @property {number} priority
 */

/**
 * @typedef {object} ErrorRow
 * @property {number} time milliseconds since the start
 * @property {number} code
 * @property {string} text the browser's message
 * @property {string} url
 * @property {string} from the local address; empty if the browser hides it
 */

/** A browser waits for up to a minute for a server that does not respond. This page stops earlier. */
export const LIMIT_MS = 20_000;

export class Gathering {
  #connection;
  #hooks;
  #startedAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {RTCConfiguration} configuration if it is not valid, the constructor throws
   * @param {object} hooks
   * @param {(row: CandidateRow) => void} hooks.candidate
   * @param {(row: ErrorRow) => void} hooks.error
   * @param {(end: {time: number, complete: boolean}) => void} hooks.done called once; complete is false if some server has not
   *   responded yet
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
      if (this.#connection.iceGatheringState === 'complete') this.#finish(true);
    };
  }

  async start() {
    this.#connection.addTransceiver('audio', { direction: 'recvonly' });
    const offer = await this.#connection.createOffer();
    this.#startedAt = performance.now();
    this.#timer = setTimeout(() => this.stop(), LIMIT_MS);
    await this.#connection.setLocalDescription(offer);
  }

  /** Stops waiting for servers that have not responded. */
  stop() {
    this.#finish(false);
  }

  /** @param {boolean} complete */
  #finish(complete) {
    if (this.#connection.signalingState === 'closed') return;
    clearTimeout(this.#timer);
    const time = this.#elapsed();
    this.#connection.close();
    this.#hooks.done({ time, complete });
  }

  #elapsed() {
    return performance.now() - this.#startedAt;
  }
}

/**
 * @param {RTCIceCandidate} candidate
 * @param {number} time
 * @returns {CandidateRow}
 */
export function candidateRow(candidate, time) {
  // These two are newer than TypeScript's declarations.
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

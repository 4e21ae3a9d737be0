/**
 * One RTCPeerConnection, for one call and never used again. It knows nothing of
 * signalling: descriptions and candidates come in and go out through functions.
 */

import { CandidateQueue } from './candidates.js';

/**
 * @typedef {object} PeerHooks
 * @property {(candidate: RTCIceCandidateInit) => void} candidate a local candidate to send
 * @property {(stream: MediaStream) => void} stream the other side's media
 * @property {(state: RTCPeerConnectionState) => void} state the connection's state changed
 * @property {() => void} gone the other side closed its connection on purpose
 */

export class Peer {
  #connection;
  #control;
  #queue;
  #hooks;
  /** The other side's tracks; a new object for each change would restart the video. */
  #remote = new MediaStream();
  #met = false;

  /**
   * @param {RTCConfiguration} configuration
   * @param {MediaStream} stream what to send; may lack a kind, which is then only received
   * @param {CandidateQueue} queue candidates that came before this connection
   * @param {PeerHooks} hooks
   */
  constructor(configuration, stream, queue, hooks) {
    this.#connection = new RTCPeerConnection(configuration);
    this.#queue = queue;
    this.#hooks = hooks;
    this.#control = this.#openControl();
    this.#listen();
    this.local = stream;
  }

  /**
   * A data channel that carries one greeting. When it closes, the other side
   * has hung up, which the hub can't tell from a lost socket. A client without
   * it (any other classic one) never greets.
   */
  #openControl() {
    const control = this.#connection.createDataChannel('control', { negotiated: true, id: 0 });
    control.onopen = () => control.send('hello');
    control.onmessage = () => (this.#met = true);
    control.onclose = () => this.#met && this.#hooks.gone();
    return control;
  }

  #listen() {
    const connection = this.#connection;
    connection.onicecandidate = ({ candidate }) => {
      if (candidate && candidate.candidate) this.#hooks.candidate(candidate.toJSON());
    };
    connection.ontrack = ({ track }) => {
      this.#remote.addTrack(track);
      this.#hooks.stream(this.#remote);
    };
    connection.onconnectionstatechange = () => this.#hooks.state(connection.connectionState);
  }

  /** Whether the other side tells us by the control channel when it hangs up. */
  get tellsWhenGone() {
    return this.#met && this.#control.readyState === 'open';
  }

  /**
   * Makes the offer, has it sent, and only then starts gathering: a candidate
   * never overtakes its description.
   * @param {(offer: RTCSessionDescriptionInit) => void} send
   */
  async offer(send) {
    for (const kind of ['audio', 'video']) this.#addKind(kind);
    const offer = await this.#connection.createOffer();
    send(plain(offer));
    await this.#connection.setLocalDescription(offer);
  }

  /**
   * Answers an offer.
   * @param {RTCSessionDescriptionInit} offer
   * @param {(answer: RTCSessionDescriptionInit) => void} send
   */
  async answer(offer, send) {
    await this.#connection.setRemoteDescription(plain(offer));
    for (const track of this.local.getTracks()) this.#connection.addTrack(track, this.local);
    const answer = await this.#connection.createAnswer();
    send(plain(answer));
    await this.#connection.setLocalDescription(answer);
    this.#openQueue();
  }

  /** @param {RTCSessionDescriptionInit} answer */
  async acceptAnswer(answer) {
    await this.#connection.setRemoteDescription(plain(answer));
    this.#openQueue();
  }

  /** @param {RTCIceCandidateInit} candidate */
  addCandidate(candidate) {
    this.#queue.push(candidate);
  }

  stats() {
    return this.#connection.getStats();
  }

  /** Ends the connection; no hook is called any more. */
  close() {
    this.#connection.onicecandidate = null;
    this.#connection.ontrack = null;
    this.#connection.onconnectionstatechange = null;
    this.#control.onclose = null;
    this.#connection.close();
  }

  /** @param {string} kind */
  #addKind(kind) {
    const tracks = this.local.getTracks().filter((track) => track.kind === kind);
    for (const track of tracks) this.#connection.addTrack(track, this.local);
    if (tracks.length === 0) this.#connection.addTransceiver(kind, { direction: 'recvonly' });
  }

  /**
   * A candidate of an earlier offer, or one this browser cannot read, is no
   * reason to end a call: others will do.
   */
  #openQueue() {
    this.#queue.open((candidate) => {
      this.#connection.addIceCandidate(candidate).catch(() => {});
    });
  }
}

/**
 * A description's two standard members, whatever else came or would go with it.
 * @param {RTCSessionDescriptionInit} description
 * @returns {RTCSessionDescriptionInit}
 */
function plain({ type, sdp }) {
  return { type, sdp };
}

/**
 * One other party of a call, and the connection to it: perfect negotiation, ICE restarts, media both ways, and the control
 * channel. It is independent of the signalling: it sends through the function in its options.
 */

import { Emitter } from './emitter.js';
import { applySize, sizeFor } from './size.js';
import { judge, sample } from './stats.js';

/** @typedef {import('./media.js').LocalMedia} LocalMedia */
/** @typedef {import('./media.js').Kind} Kind */
/** @typedef {import('./stats.js').Stats} Stats */
/** @typedef {{microphone: boolean, camera: boolean, sharing: boolean}} Shows */

/**
 * @typedef {object} PartyOptions
 * @property {string} id the other client's ID; the server gives it a new one at each sign-in
 * @property {string} name
 * @property {boolean} polite whether this side yields when both negotiate at once; exactly one of the two is polite
 * @property {boolean} foreign whether the other client does not use this SDK; such a client gets a single offer
 * @property {RTCConfiguration} configuration
 * @property {LocalMedia} media
 * @property {(kind: string, data: any) => void} send
 * @property {() => boolean} reachable whether a message to the other client can arrive now
 * @property {typeof globalThis.RTCPeerConnection} [RTCPeerConnection]
 */

const KINDS = /** @type {const} */ (['audio', 'video']);
/**
 * How long a connection may be interrupted before ICE is restarted, by whether this side is polite. The times differ so that the
 * two sides do not restart at the same moment.
 */
const INTERRUPTED_MS = { false: 1_200, true: 2_500 };
/** How long to wait for an ICE restart before the next one. */
const RESTART_MS = 7_000;
/** If a connection has never worked and fails after this time, the party gives up. */
const FIRST_CONNECTION_MS = 20_000;
/** More candidates than any browser gathers. */
const MAX_EARLY_CANDIDATES = 256;
/** The most values of sendData that wait for the channel to open. Further ones are dropped. */
const MAX_UNSENT = 64;

/**
 * @extends {Emitter<{state: void, stream: MediaStream, shows: Shows, data: any, channel: RTCDataChannel, bye: void, failed: void}>}
 */
export class Party extends Emitter {
  id;
  name;
  /** The media that the other party sends. The object never changes. */
  stream = new MediaStream();
  /** Which media the other party says it sends. @type {Shows} */
  shows = { microphone: true, camera: true, sharing: false };
  /** Whether the connection has ever worked. */
  met = false;
  /**
   * 0 while the server knows the other client. Otherwise the time in Unix milliseconds when it stopped knowing it, or when the
   * connection was last seen to work after that.
   */
  absentSince = 0;

  #options;
  #pc;
  #control;
  #mayOffer = false;
  #closed = false;
  #makingOffer = false;
  #restarts = 0;
  #createdAt = Date.now();
  #restartPending = false;
  #partyCount = 1;
  /** @type {string[]} */
  #unsent = [];
  /** The candidates that arrived before the remote description; null once there is one. @type {RTCIceCandidateInit[] | null} */
  #earlyCandidates = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #checkTimer;
  /** @type {import('./stats.js').Sample | null} */
  #lastSample = null;
  /** @type {Promise<unknown>} */
  #queue = Promise.resolve();
  #removeListeners;

  /** @param {PartyOptions} options */
  constructor(options) {
    super();
    this.id = options.id;
    this.name = options.name;
    this.#options = options;
    this.#pc = new (options.RTCPeerConnection ?? globalThis.RTCPeerConnection)(options.configuration);
    this.#control = this.#openControl();
    this.#listen();
    this.#removeListeners = [
      options.media.on('track', (kind) => void this.#replaceTrack(kind)),
      options.media.on('change', () => {
        this.#sendShows();
        void this.#applySize();
      }),
    ];
  }

  /** Whether the connection works, so that media can flow. */
  get connected() {
    return !this.#closed && this.#pc.connectionState === 'connected';
  }

  /** The state of the RTCPeerConnection; 'closed' after close. */
  get state() {
    return this.#closed ? 'closed' : this.#pc.connectionState;
  }

  /** The RTCPeerConnection, for anything that this class does not wrap. */
  get connection() {
    return this.#pc;
  }

  /** Starts the negotiation. Only one of the two sides does this. */
  beginOffer() {
    this.#mayOffer = true;
    for (const kind of KINDS) {
      const track = this.#options.media.track(kind);
      // The direction is sendrecv even without a track, so that adding one later needs no negotiation.
      this.#pc.addTransceiver(track ?? kind, { direction: 'sendrecv', streams: [this.#options.media.stream] });
    }
  }

  /** Handles an offer or an answer of the other client. @param {RTCSessionDescriptionInit} description */
  onDescription({ type, sdp }) {
    return this.#enqueue(async () => {
      const collision = type === 'offer' && (this.#makingOffer || this.#pc.signalingState !== 'stable');
      const ignore = collision && !this.#options.polite;
      if (ignore || (type === 'answer' && this.#pc.signalingState !== 'have-local-offer')) return;
      await this.#pc.setRemoteDescription({ type, sdp });
      const early = this.#earlyCandidates ?? [];
      this.#earlyCandidates = null;
      for (const candidate of early) await this.#addCandidate(candidate);
      if (type !== 'offer') return;
      if (!this.connected) this.#checkAfter(RESTART_MS); // the other side is restarting it
      await this.#attachTracks();
      await this.#pc.setLocalDescription();
      this.#sendDescription();
    });
  }

  /** Handles a candidate of the other client. @param {RTCIceCandidateInit} candidate */
  onCandidate(candidate) {
    return this.#enqueue(async () => {
      if (!this.#earlyCandidates) await this.#addCandidate(candidate);
      else if (this.#earlyCandidates.length < MAX_EARLY_CANDIDATES) this.#earlyCandidates.push(candidate);
    });
  }

  /**
   * Sets the ICE servers that the next ICE restart uses.
   * @param {RTCIceServer[]} iceServers
   */
  setIceServers(iceServers) {
    if (!this.#closed) this.#pc.setConfiguration({ ...this.#pc.getConfiguration(), iceServers });
  }

  /**
   * Negotiates again after the server has restarted and forgotten both clients. An unfinished negotiation is rolled back, because
   * its messages may be lost.
   * @param {boolean} weOffer whether this side starts
   */
  renegotiate(weOffer) {
    return this.#enqueue(async () => {
      if (this.#pc.signalingState === 'have-local-offer') await this.#pc.setLocalDescription({ type: 'rollback' });
      this.#restartPending = false;
      if (!weOffer) return this.#checkAfter(RESTART_MS);
      if (this.#pc.getTransceivers().length === 0) return this.beginOffer();
      const { local, remote } = sample(await this.#stats());
      const direct = [local, remote].every((end) => end?.type === 'host' || end?.type === 'srflx');
      if (!direct || !this.connected) this.restartIce(); // the restarted server has forgotten its relayed addresses
    });
  }

  /** Records that the other client uses this SDK after all: its "hi" was late. @param {boolean} polite */
  setSDKClient(polite) {
    Object.assign(this.#options, { foreign: false, polite });
  }

  /** Restarts ICE, as soon as the other client can be reached through the server. */
  restartIce() {
    if (this.#closed || this.#options.foreign) return;
    clearTimeout(this.#checkTimer);
    this.#restartPending = !this.#options.reachable();
    if (this.#restartPending) return;
    this.#restarts += 1;
    this.#pc.restartIce();
    this.#checkAfter(RESTART_MS * Math.min(this.#restarts, 3));
  }

  /** Sets how many parties get our video, which determines its size. @param {number} others */
  setPartyCount(others) {
    this.#partyCount = others;
    void this.#applySize();
  }

  /** Called when the other client can be reached again. */
  onResumed() {
    if (this.#restartPending) this.restartIce();
  }

  /**
   * Sends a value that JSON can represent, as soon as the control channel is open.
   * @param {any} data
   */
  sendData(data) {
    const text = JSON.stringify({ data });
    if (this.#control.readyState === 'open') this.#control.send(text);
    else if (this.#unsent.length < MAX_UNSENT) this.#unsent.push(text);
  }

  /**
   * Opens a data channel. The other party gets the event channel.
   * @param {string} label
   * @param {RTCDataChannelInit} [options]
   */
  openChannel(label, options) {
    return this.#pc.createDataChannel(label, options);
  }

  /** @returns {Promise<Stats>} */
  async stats() {
    const now = sample(await this.#stats());
    const stats = judge(this.#lastSample, now, this.connected);
    this.#lastSample = now;
    return stats;
  }

  /** @param {boolean} [sayBye] whether to tell the other party that this side closes the connection on purpose */
  close(sayBye = false) {
    if (this.#closed) return;
    this.#closed = true;
    for (const remove of this.#removeListeners) remove();
    clearTimeout(this.#checkTimer);
    if (sayBye && this.#control.readyState === 'open') this.#control.send('{"bye":true}');
    this.#control.onclose = null;
    this.#pc.close();
    this.emit('state', undefined);
  }

  /** @returns {Promise<Iterable<[string, any]>>} */
  async #stats() {
    return this.#closed ? [] : /** @type {any} */ (await this.#pc.getStats());
  }

  #listen() {
    const pc = this.#pc;
    pc.onnegotiationneeded = () => void this.#makeOffer();
    pc.onicecandidate = ({ candidate }) => {
      if (candidate?.candidate) this.#options.send('candidate', candidate.toJSON());
    };
    pc.ontrack = ({ track }) => {
      this.stream.addTrack(track);
      this.emit('stream', this.stream);
    };
    pc.ondatachannel = ({ channel }) => this.emit('channel', channel);
    pc.onconnectionstatechange = () => this.#onConnectionState();
    pc.oniceconnectionstatechange = () => this.#onIceState();
  }

  #openControl() {
    const control = this.#pc.createDataChannel('icebox', { negotiated: true, id: 0 });
    control.onopen = () => {
      this.#sendShows();
      for (const text of this.#unsent.splice(0)) control.send(text);
    };
    control.onmessage = ({ data }) => this.#onControl(data);
    return control;
  }

  /** Handles a message on the control channel. @param {unknown} text */
  #onControl(text) {
    /** @type {any} */
    let message = null;
    try {
      message = JSON.parse(String(text));
    } catch {
      // A foreign client may use this channel for something else.
    }
    if (message?.bye) this.emit('bye', undefined);
    if (message?.shows) this.emit('shows', (this.shows = { ...this.shows, ...message.shows }));
    if (message && 'data' in message) this.emit('data', message.data);
  }

  /** Tells the other party which media we send. */
  #sendShows() {
    if (this.#control.readyState !== 'open') return;
    const { media } = this.#options;
    const camera = media.sharing || (media.track('video') !== null && !media.cameraOff);
    const shows = { microphone: media.track('audio') !== null && !media.muted, camera, sharing: media.sharing };
    this.#control.send(JSON.stringify({ shows }));
  }

  /** Adds our tracks to the transceivers that the other client has offered. */
  async #attachTracks() {
    for (const kind of KINDS) {
      const all = this.#pc.getTransceivers().filter(({ receiver }) => receiver.track.kind === kind);
      const theirs = all.find(({ direction, currentDirection }) => direction === 'recvonly' && currentDirection === null);
      if (!theirs || all.some(({ direction }) => direction === 'sendrecv')) continue;
      theirs.direction = 'sendrecv';
      theirs.sender.setStreams?.(this.#options.media.stream);
      await theirs.sender.replaceTrack(this.#options.media.track(kind));
    }
  }

  /** @param {Kind} kind */
  async #replaceTrack(kind) {
    const ours = this.#pc.getTransceivers().find(({ receiver }) => receiver.track.kind === kind);
    await ours?.sender.replaceTrack(this.#options.media.track(kind)).catch(() => {});
    await this.#applySize();
  }

  async #applySize() {
    if (this.#closed) return;
    const video = this.#pc.getTransceivers().find(({ receiver }) => receiver.track.kind === 'video');
    await applySize(video?.sender, sizeFor(this.#partyCount, this.#options.media.sharing));
  }

  async #makeOffer() {
    const { remoteDescription } = this.#pc;
    if (!this.#mayOffer && !remoteDescription) return; // the other side starts the negotiation
    if (this.#options.foreign && remoteDescription) return; // a foreign client may not support a second offer
    try {
      this.#makingOffer = true;
      await this.#pc.setLocalDescription();
      this.#sendDescription();
    } catch {
      // The connection was closed in the meantime, or the other side's offer arrived first.
    } finally {
      this.#makingOffer = false;
    }
  }

  #sendDescription() {
    const description = this.#pc.localDescription;
    if (description) this.#options.send(description.type, { type: description.type, sdp: description.sdp });
  }

  /**
   * Adds a candidate. One from an earlier negotiation, or one that this browser can't parse, is ignored.
   * @param {RTCIceCandidateInit} candidate
   */
  async #addCandidate(candidate) {
    await this.#pc.addIceCandidate(candidate).catch(() => {});
  }

  /**
   * Runs a step after all earlier ones, because descriptions and candidates must be processed in order.
   * @param {() => Promise<void>} step
   */
  #enqueue(step) {
    this.#queue = this.#queue.then(() => (this.#closed ? undefined : step())).catch(() => this.emit('state', undefined));
    return this.#queue;
  }

  #onConnectionState() {
    if (this.connected) {
      this.met = true;
      this.#restarts = 0;
      this.#restartPending = false;
      clearTimeout(this.#checkTimer);
      void this.#applySize(); // by now the sender has its encodings
    }
    this.emit('state', undefined);
    this.#onIceState();
  }

  /** Whether ICE has failed. Depending on the browser, only one of the two states shows it. */
  get #failed() {
    return this.#pc.connectionState === 'failed' || this.#pc.iceConnectionState === 'failed';
  }

  #onIceState() {
    if (this.#closed || (!this.#failed && this.#pc.iceConnectionState !== 'disconnected')) return;
    const polite = /** @type {'true' | 'false'} */ (String(this.#options.polite));
    this.#checkAfter(this.#failed && !this.#options.polite ? 0 : INTERRUPTED_MS[polite]);
  }

  /** Checks after this many milliseconds whether the connection works, and acts if it does not. @param {number} after */
  #checkAfter(after) {
    clearTimeout(this.#checkTimer);
    if (!this.#closed) this.#checkTimer = setTimeout(() => this.connected || this.#recover(), after);
  }

  /** Restarts ICE, or reports that the connection has failed permanently. */
  #recover() {
    const givenUp = this.#options.foreign || (!this.met && Date.now() - this.#createdAt > FIRST_CONNECTION_MS);
    if (!givenUp) this.restartIce();
    else if (this.#failed) this.emit('failed', undefined);
  }
}

/**
 * One other party of a call, and the connection to it: perfect negotiation, ICE restarts, media both ways and a data
 * channel. It knows nothing of signalling: what is to be sent goes out through a function.
 */

import { Emitter } from './emitter.js';
import { resize, sizeFor } from './size.js';
import { judge, sample } from './stats.js';

/** @typedef {import('./media.js').LocalMedia} LocalMedia */
/** @typedef {import('./media.js').Kind} Kind */
/** @typedef {import('./stats.js').Stats} Stats */
/** @typedef {{microphone: boolean, camera: boolean, sharing: boolean}} Shows */

/**
 * @typedef {object} PartyOptions
 * @property {string} id the other client's, as long as it has it
 * @property {string} name
 * @property {boolean} polite who gives way when both negotiate at once: exactly one of the two
 * @property {boolean} plain the other is no client of this SDK: it is offered a connection once and for all
 * @property {RTCConfiguration} configuration
 * @property {LocalMedia} media
 * @property {(kind: string, data: any) => void} send
 * @property {() => boolean} reachable whether what is sent now can arrive
 * @property {typeof globalThis.RTCPeerConnection} [RTCPeerConnection]
 */

const KINDS = /** @type {const} */ (['audio', 'video']);
/** How long a connection may be out before ICE is restarted, by who is impolite and by who is polite. */
const OUT_MS = { false: 1_200, true: 2_500 };
/** How long a restart may take before another one. */
const RESTART_MS = 7_000;
/** After this time a connection that never was is given up when it fails. */
const HOPE_MS = 20_000;
/** More candidates than any browser gathers. */
const MOST_CANDIDATES = 256;
/** What waits for a connection to be sent. */
const MOST_UNSENT = 64;

/**
 * @extends {Emitter<{state: void, stream: MediaStream, shows: Shows, data: any, channel: RTCDataChannel, bye: void, failed: void}>}
 */
export class Party extends Emitter {
  id;
  name;
  /** What the other side sends. Always the same object. */
  stream = new MediaStream();
  /** What the other side says it shows. @type {Shows} */
  shows = { microphone: true, camera: true, sharing: false };
  /** Whether there has been a connection. */
  met = false;
  /** Since when the server has not known the other side, in milliseconds; 0 while it does. */
  absentSince = 0;

  #options;
  #pc;
  #control;
  #begun = false;
  #closed = false;
  #making = false;
  #ignoring = false;
  #restarts = 0;
  #since = Date.now();
  #restartDue = false;
  #others = 1;
  /** @type {string[]} */
  #unsent = [];
  /** @type {RTCIceCandidateInit[] | null} Null once there is a description to add them to. */
  #early = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {import('./stats.js').Sample | null} */
  #before = null;
  /** @type {Promise<unknown>} */
  #queue = Promise.resolve();
  #ends;

  /** @param {PartyOptions} options */
  constructor(options) {
    super();
    this.id = options.id;
    this.name = options.name;
    this.#options = options;
    this.#pc = new (options.RTCPeerConnection ?? globalThis.RTCPeerConnection)(options.configuration);
    this.#control = this.#openControl();
    this.#listen();
    this.#ends = [
      options.media.on('track', (kind) => void this.#sendTrack(kind)),
      options.media.on('change', () => {
        this.#show();
        void this.#resize();
      }),
    ];
  }

  /** Whether media can pass. */
  get connected() {
    return !this.#closed && this.#pc.connectionState === 'connected';
  }

  /** Whether it ended without having been connected, or will. */
  get state() {
    return this.#closed ? 'closed' : this.#pc.connectionState;
  }

  /** The connection itself, for what is not wrapped here. */
  get connection() {
    return this.#pc;
  }

  /** Offers the connection: one side of the two does. */
  begin() {
    this.#begun = true;
    for (const kind of KINDS) {
      const track = this.#options.media.track(kind);
      // Both ways even without a track: one that comes later needs no negotiation then.
      this.#pc.addTransceiver(track ?? kind, { direction: 'sendrecv', streams: [this.#options.media.stream] });
    }
  }

  /** @param {RTCSessionDescriptionInit} description */
  description({ type, sdp }) {
    return this.#inTurn(async () => {
      const collision = type === 'offer' && (this.#making || this.#pc.signalingState !== 'stable');
      this.#ignoring = collision && !this.#options.polite;
      if (this.#ignoring || (type === 'answer' && this.#pc.signalingState !== 'have-local-offer')) return;
      await this.#pc.setRemoteDescription({ type, sdp });
      const early = this.#early ?? [];
      this.#early = null;
      for (const candidate of early) await this.#add(candidate);
      if (type !== 'offer') return;
      if (!this.connected) this.#look(RESTART_MS); // the other side does something about it
      await this.#fill();
      await this.#pc.setLocalDescription();
      this.#tell();
    });
  }

  /** @param {RTCIceCandidateInit} candidate */
  candidate(candidate) {
    return this.#inTurn(async () => {
      if (!this.#early) await this.#add(candidate);
      else if (this.#early.length < MOST_CANDIDATES) this.#early.push(candidate);
    });
  }

  /**
   * Takes other ICE servers, which the next restart uses.
   * @param {RTCIceServer[]} iceServers
   */
  configure(iceServers) {
    if (!this.#closed) this.#pc.setConfiguration({ ...this.#pc.getConfiguration(), iceServers });
  }

  /**
   * Goes on after the server has lost what was between the two: what was being negotiated has to be begun again.
   * @param {boolean} first whether it is for this side to begin
   */
  renew(first) {
    return this.#inTurn(async () => {
      if (this.#pc.signalingState === 'have-local-offer') await this.#pc.setLocalDescription({ type: 'rollback' });
      this.#restartDue = false;
      if (!first) return this.#look(RESTART_MS);
      if (this.#pc.getTransceivers().length === 0) return this.begin();
      const { local, remote } = sample(await this.#stats());
      const direct = [local, remote].every((end) => end?.type === 'host' || end?.type === 'srflx');
      if (!direct || !this.connected) this.restart();
    });
  }

  /** @param {boolean} polite The other side turns out to be a client of this SDK, if late. */
  upgrade(polite) {
    Object.assign(this.#options, { plain: false, polite });
  }

  /** Looks for another way, as soon as the other side can be told. */
  restart() {
    if (this.#closed || this.#options.plain) return;
    clearTimeout(this.#timer);
    this.#restartDue = !this.#options.reachable();
    if (this.#restartDue) return;
    this.#restarts += 1;
    this.#pc.restartIce();
    this.#look(RESTART_MS * Math.min(this.#restarts, 3));
  }

  /** @param {number} others How many pictures are sent: this one is to be as large as they allow. */
  among(others) {
    this.#others = others;
    void this.#resize();
  }

  /** The other side can be told again. */
  resumed() {
    if (this.#restartDue) this.restart();
  }

  /**
   * Sends anything that can be JSON, as soon as there is a connection.
   * @param {any} data
   */
  sendData(data) {
    const text = JSON.stringify({ data });
    if (this.#control.readyState === 'open') this.#control.send(text);
    else if (this.#unsent.length < MOST_UNSENT) this.#unsent.push(text);
  }

  /**
   * Opens a data channel; the other side has the event channel.
   * @param {string} label
   * @param {RTCDataChannelInit} [options]
   */
  openChannel(label, options) {
    return this.#pc.createDataChannel(label, options);
  }

  /** @returns {Promise<Stats>} */
  async stats() {
    const now = sample(await this.#stats());
    const stats = judge(this.#before, now, this.connected);
    this.#before = now;
    return stats;
  }

  /** @param {boolean} [tell] whether the other side should know that this is on purpose */
  close(tell = false) {
    if (this.#closed) return;
    this.#closed = true;
    for (const end of this.#ends) end();
    clearTimeout(this.#timer);
    if (tell && this.#control.readyState === 'open') this.#control.send('{"bye":true}');
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
    pc.onnegotiationneeded = () => void this.#offer();
    pc.onicecandidate = ({ candidate }) => {
      if (candidate?.candidate) this.#options.send('candidate', candidate.toJSON());
    };
    pc.ontrack = ({ track }) => {
      this.stream.addTrack(track);
      this.emit('stream', this.stream);
    };
    pc.ondatachannel = ({ channel }) => this.emit('channel', channel);
    pc.onconnectionstatechange = () => this.#moved();
    pc.oniceconnectionstatechange = () => this.#iceMoved();
  }

  #openControl() {
    const control = this.#pc.createDataChannel('icebox', { negotiated: true, id: 0 });
    control.onopen = () => {
      this.#show();
      for (const text of this.#unsent.splice(0)) control.send(text);
    };
    control.onmessage = ({ data }) => this.#heard(data);
    return control;
  }

  /** @param {unknown} text */
  #heard(text) {
    /** @type {any} */
    let said = null;
    try {
      said = JSON.parse(String(text));
    } catch {
      // Of another client, which may use the channel for what it likes.
    }
    if (said?.bye) this.emit('bye', undefined);
    if (said?.shows) this.emit('shows', (this.shows = { ...this.shows, ...said.shows }));
    if (said && 'data' in said) this.emit('data', said.data);
  }

  /** Tells the other side what there is to see and to hear. */
  #show() {
    if (this.#control.readyState !== 'open') return;
    const { media } = this.#options;
    const camera = media.sharing || (media.track('video') !== null && !media.cameraOff);
    const shows = { microphone: media.track('audio') !== null && !media.muted, camera, sharing: media.sharing };
    this.#control.send(JSON.stringify({ shows }));
  }

  /** Puts our tracks into what the other side has offered. */
  async #fill() {
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
  async #sendTrack(kind) {
    const ours = this.#pc.getTransceivers().find(({ receiver }) => receiver.track.kind === kind);
    await ours?.sender.replaceTrack(this.#options.media.track(kind)).catch(() => {});
    await this.#resize();
  }

  async #resize() {
    if (this.#closed) return;
    const video = this.#pc.getTransceivers().find(({ receiver }) => receiver.track.kind === 'video');
    await resize(video?.sender, sizeFor(this.#others, this.#options.media.sharing));
  }

  async #offer() {
    const { remoteDescription } = this.#pc;
    if (!this.#begun && !remoteDescription) return; // it is for the other side
    if (this.#options.plain && remoteDescription) return; // it would not understand
    try {
      this.#making = true;
      await this.#pc.setLocalDescription();
      this.#tell();
    } catch {
      // Closed meanwhile, or the other side's offer was faster.
    } finally {
      this.#making = false;
    }
  }

  #tell() {
    const description = this.#pc.localDescription;
    if (description) this.#options.send(description.type, { type: description.type, sdp: description.sdp });
  }

  /** @param {RTCIceCandidateInit} candidate One of a negotiation that is over, or that this browser can't read, does no harm. */
  async #add(candidate) {
    await this.#pc.addIceCandidate(candidate).catch(() => {});
  }

  /** @param {() => Promise<void>} step Descriptions and candidates are taken one after the other. */
  #inTurn(step) {
    this.#queue = this.#queue.then(() => (this.#closed ? undefined : step())).catch(() => this.emit('state', undefined));
    return this.#queue;
  }

  #moved() {
    if (this.connected) {
      this.met = true;
      this.#restarts = 0;
      this.#restartDue = false;
      clearTimeout(this.#timer);
      void this.#resize(); // what is sent is settled by now
    }
    this.emit('state', undefined);
    this.#iceMoved();
  }

  /** Whether ICE has given up. Browsers say so in one of two places. */
  get #failed() {
    return this.#pc.connectionState === 'failed' || this.#pc.iceConnectionState === 'failed';
  }

  #iceMoved() {
    if (this.#closed || (!this.#failed && this.#pc.iceConnectionState !== 'disconnected')) return;
    const polite = /** @type {'true' | 'false'} */ (String(this.#options.polite));
    this.#look(this.#failed && !this.#options.polite ? 0 : OUT_MS[polite]);
  }

  /** @param {number} after Sees in so many milliseconds whether there is a connection. */
  #look(after) {
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(() => this.connected || this.#out(), after);
  }

  /** Does something about a connection that is not there. */
  #out() {
    const hopeless = this.#options.plain || (!this.met && Date.now() - this.#since > HOPE_MS);
    if (!hopeless) this.restart();
    else if (this.#failed) this.emit('failed', undefined);
  }
}

/**
 * A call by ID: its parties, and a connection to each of them.
 *
 * Parties introduce themselves with a message of the kind "hi". It has a tag, which identifies a page until it is closed. After
 * the server has restarted, all clients have new IDs, and the parties recognize each other by their tags. Of two parties, the
 * one that joined later offers the connection. The one whose tag sorts first is the polite peer of perfect negotiation.
 *
 * A foreign client is one that does not use this SDK. It sends no "hi", and the SDK offers it a connection once.
 */

import { Emitter } from './emitter.js';
import { asError, IceboxError } from './errors.js';
import { Party } from './party.js';

/** @typedef {import('./media.js').LocalMedia} LocalMedia */
/** @typedef {'ringing' | 'waiting' | 'connecting' | 'connected' | 'interrupted' | 'ended'} CallState */
/** @typedef {'hangup' | 'left' | 'declined' | 'busy' | 'no-answer' | 'gone' | 'no-route' | 'lost' | 'unjoined' | 'empty' | 'closed'} EndReason */

/**
 * The functions and values of the client that a call uses.
 * @typedef {object} Host
 * @property {string} tag identifies this page to the other parties
 * @property {RTCIceServer[]} iceServers
 * @property {(message: any) => void} send
 * @property {(message: any, onReply?: (reply: any) => void) => Promise<any>} request
 * @property {() => boolean} reachable whether there is a connection to the server
 * @property {(call: Call) => void} forget removes the call from the client's calls, because it has ended
 * @property {import('./websocket.js').Environment} environment
 */

/**
 * @typedef {object} CallSetup
 * @property {LocalMedia} media
 * @property {boolean} [ownsMedia] whether the call closes the media when it ends
 * @property {'all' | 'relay'} [policy]
 * @property {string} [name] the name of the other client, for a call by name
 */

/** A client that joins waits this long for the "hi" of each party. After that it treats the party as a foreign client. */
const HI_MS = 3_000;
/**
 * The call removes a party that the server has not known, and that has had no connection, for this long.
 *
 * The server reports a lost party only after it has noticed the loss (5 s to 15 s) and the time for resuming has passed
 * (30 s). So a party whose browser crashed is "interrupted" for up to a minute. It is that long because a crash looks the same
 * as a network outage, after which the party has to find the call as it was. Within seconds the state shows that nothing
 * arrives, so a user who does not want to wait can hang up.
 */
const ABSENT_MS = 20_000;

/**
 * @extends {Emitter<{state: void, party: Party, left: {party: Party, reason: string}, stream: {party: Party, stream: MediaStream},
 *   shows: Party, data: {party: Party, data: any}, channel: {party: Party, channel: RTCDataChannel},
 *   message: {from: string, name: string, kind: string, data: any}, end: {reason: EndReason, by: string}, problem: IceboxError}>}
 */
export class Call extends Emitter {
  id = '';
  link = '';
  max = 2;
  /** @type {CallState} */
  state = 'waiting';
  /** Whether the other client has not answered yet. */
  ringing = false;
  media;
  name;

  host;
  #policy;
  #ownsMedia;
  #restoreProof = '';
  /** @type {RTCIceServer[]} */
  #iceServers;
  /**
   * The parties that have not said "hi" yet, by ID. weOffer: we joined later, so we offer the connection.
   * @type {Map<string, {name: string, weOffer: boolean, timer?: any}>}
   */
  #awaitingHi = new Map();
  /** The parties that we have a connection to, or are connecting to, by tag. @type {Map<string, Party>} */
  #parties = new Map();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #absenceTimer;
  #wasConnected = false;

  /**
   * @param {Host} host
   * @param {CallSetup} setup
   */
  constructor(host, { media, ownsMedia = false, policy = 'all', name = '' }) {
    super();
    this.host = host;
    this.media = media;
    this.name = name;
    this.#ownsMedia = ownsMedia;
    this.#policy = policy;
    this.#iceServers = host.iceServers;
  }

  /** The other parties. */
  get parties() {
    return [...this.#parties.values()];
  }

  get ended() {
    return this.state === 'ended';
  }

  /** Enters the call that the server has created or let us join. @param {any} reply */
  onJoined({ call, link, max, restore, iceServers, parties = [] }) {
    Object.assign(this, { id: call, link, max });
    this.#restoreProof = restore ?? '';
    if (iceServers) this.setIceServers(iceServers);
    for (const party of parties) this.#sayHi(party, true);
    this.updateState();
  }

  /** Joins the call again after the client has had to sign in again. */
  async rejoin() {
    for (const party of this.parties) this.#markAbsent(party);
    this.#clearAwaitingHi();
    try {
      const join = { type: 'join', call: this.id, restore: this.#restoreProof || undefined };
      await this.host.request(join, (reply) => this.onJoined(reply));
    } catch (thrown) {
      const failure = asError(thrown, 'lost');
      if (failure.code === 'lost' || failure.code === 'closed' || this.ended) return; // the next sign-in, if there is one, joins again
      this.emit('problem', failure);
      if (!this.parties.some((party) => party.connected)) this.finish('lost');
    }
  }

  /** Called when the client is connected to the server again. */
  onResumed() {
    for (const party of this.parties) party.onResumed();
  }

  /** Called when the browser may be on another network. */
  onNetworkChange() {
    for (const party of this.parties) party.restartIce();
  }

  /** Sets the ICE servers of all later connections and ICE restarts. @param {RTCIceServer[]} iceServers */
  setIceServers(iceServers) {
    this.#iceServers = iceServers;
    for (const party of this.parties) party.setIceServers(iceServers);
  }

  /** Handles a message of this call. @param {any} message */
  receive(message) {
    const { type, from, fromName = '', kind, data, reason, id, name = '' } = message;
    if (type === 'message') this.#onMessage(from, fromName, kind, data);
    else if (type === 'party-joined') this.#sayHi({ id, name }, false);
    else if (type === 'party-left') this.#onLeft(id, reason);
    else if (type === 'ended') this.finish(reason, fromName);
    else if (type === 'ice' && message.iceServers) this.setIceServers(message.iceServers);
  }

  /**
   * Sends a value that JSON can represent to all other parties, from browser to browser. They get the event data.
   * @param {any} data
   */
  send(data) {
    for (const party of this.parties) party.sendData(data);
  }

  /**
   * Returns statistics of each connection. Rates and losses cover the time since the last call of this method.
   * @returns {Promise<{party: Party, stats: import('./stats.js').Stats}[]>}
   */
  stats() {
    return Promise.all(this.parties.map(async (party) => ({ party, stats: await party.stats() })));
  }

  /** Leaves the call; the others stay in it. */
  leave() {
    if (this.ended) return;
    this.sendLeave();
    this.finish('left');
  }

  /** Ends the call for all parties. */
  hangUp() {
    if (this.ended) return;
    this.sendHangUp();
    this.finish('hangup');
  }

  /** Tells the server that we leave. */
  sendLeave() {
    if (this.id) this.host.send({ type: 'leave', call: this.id });
  }

  /** Tells the server that the call is over for all. */
  sendHangUp() {
    if (this.id) this.host.send({ type: 'hangup', call: this.id });
  }

  /**
   * Sends a message to one party through the server.
   * @param {string} to the party's ID
   * @param {string} kind
   * @param {any} data
   */
  sendTo(to, kind, data) {
    this.host.send({ type: 'send', call: this.id, toId: to, kind, data });
  }

  /**
   * Ends the call on this side.
   * @param {EndReason} reason
   * @param {string} [by] the name of the client that ended it
   */
  finish(reason, by = '') {
    if (this.ended) return;
    this.state = 'ended';
    clearInterval(this.#absenceTimer);
    this.#clearAwaitingHi();
    for (const party of this.parties) party.close(reason === 'hangup' || reason === 'left' || reason === 'closed');
    this.#parties.clear();
    if (this.#ownsMedia) this.media.close();
    this.host.forget(this);
    this.emit('state', undefined);
    this.emit('end', { reason, by });
  }

  /**
   * Adds a party, with a connection that is not negotiated yet.
   * @param {{tag: string, id: string, name: string, foreign: boolean}} other
   * @returns {Party}
   */
  addParty({ tag, id, name, foreign }) {
    /** @type {Party} */
    const party = new Party({
      id, name, foreign, polite: foreign || this.host.tag < tag,
      configuration: this.#configuration(foreign), media: this.media,
      send: (kind, data) => this.sendTo(party.id, kind, data),
      reachable: () => this.host.reachable() && party.absentSince === 0,
      RTCPeerConnection: this.host.environment.RTCPeerConnection,
    });
    party.on('state', () => this.updateState());
    party.on('stream', (stream) => this.emit('stream', { party, stream }));
    party.on('shows', () => this.emit('shows', party));
    party.on('data', (data) => this.emit('data', { party, data }));
    party.on('channel', (channel) => this.emit('channel', { party, channel }));
    party.on('bye', () => this.remove(party, 'left'));
    party.on('failed', () => this.remove(party, 'no-route'));
    this.#parties.set(tag, party);
    for (const other of this.parties) {
      const replaced = (name !== '' && other.name === name) || this.#parties.size > this.max - 1;
      if (other.absentSince > 0 && replaced) this.remove(other, 'gone');
    }
    this.#shareUpload();
    this.ringing = false;
    this.emit('party', party);
    this.updateState();
    return party;
  }

  /**
   * Closes the connection to a party. A call by name ends with its last party.
   * @param {Party} party
   * @param {string} reason
   */
  remove(party, reason) {
    const tag = [...this.#parties].find(([, one]) => one === party)?.[0];
    if (tag === undefined || this.ended) return;
    this.#parties.delete(tag);
    party.close();
    this.#shareUpload();
    this.emit('left', { party, reason });
    if (!this.name || this.#parties.size > 0) return this.updateState();
    this.sendHangUp(); // a call by name has only two parties
    this.finish(/** @type {EndReason} */ (reason), party.name);
  }

  /** Tells each Party how many parties share the upload. */
  #shareUpload() {
    for (const party of this.parties) party.setPartyCount(this.#parties.size);
  }

  /** Updates the state from those of the connections. */
  updateState() {
    if (this.ended) return;
    const connected = this.parties.some((party) => party.connected);
    this.#wasConnected = this.parties.length > 0 && (this.#wasConnected || connected);
    /** @type {CallState} */
    let state = 'interrupted';
    if (this.ringing) state = 'ringing';
    else if (this.parties.length === 0) state = 'waiting';
    else if (connected) state = 'connected';
    else if (!this.#wasConnected) state = 'connecting';
    this.state = state;
    this.emit('state', undefined);
  }

  /** @param {boolean} foreign @returns {RTCConfiguration} */
  #configuration(foreign) {
    return {
      iceServers: this.#iceServers, iceTransportPolicy: this.#policy,
      // A single transport for all media needs a single address on each relay. Foreign clients may not support that.
      bundlePolicy: foreign ? 'balanced' : 'max-bundle',
    };
  }

  /**
   * Says "hi" to a party that the server has announced.
   * @param {{id: string, name?: string}} party
   * @param {boolean} weOffer whether we joined later, and offer the connection
   */
  #sayHi({ id, name = '' }, weOffer) {
    const timer = weOffer ? setTimeout(() => this.#onNoHi(id), HI_MS) : undefined;
    this.#awaitingHi.set(id, { name, weOffer, timer });
    this.sendTo(id, 'hi', { tag: this.host.tag, know: [...this.#parties.keys()] });
  }

  /** Handles a party that has sent no "hi" in time: it becomes a foreign client. @param {string} id */
  #onNoHi(id) {
    const entry = this.#awaitingHi.get(id);
    if (!entry) return;
    // While known parties are absent, this is most likely one of them on a slow connection.
    if (this.parties.some(({ absentSince }) => absentSince > 0)) entry.timer = setTimeout(() => this.#onNoHi(id), HI_MS);
    else this.addParty({ tag: id, id, name: entry.name, foreign: true }).beginOffer();
  }

  /**
   * Handles a message from another party.
   * @param {string} from
   * @param {string} name
   * @param {string} kind
   * @param {any} data
   */
  #onMessage(from, name, kind, data) {
    const party = this.parties.find((one) => one.id === from);
    if (kind === 'hi') this.#onHi(from, name, data);
    else if (kind === 'offer') void (party ?? this.addParty({ tag: from, id: from, name, foreign: true })).onDescription(data);
    else if (kind === 'answer') void party?.onDescription(data);
    else if (kind === 'candidate') void party?.onCandidate(data);
    else this.emit('message', { from, name, kind, data });
  }

  /**
   * @param {string} from
   * @param {string} name
   * @param {{tag?: string, know?: string[]} | null} hi
   */
  #onHi(from, name, hi) {
    const entry = this.#awaitingHi.get(from);
    const tag = String(hi?.tag ?? from);
    if (!entry || tag === this.host.tag) return;
    clearTimeout(entry.timer);
    const known = this.#parties.get(tag);
    if (known && known.id !== from && known.absentSince === 0) return; // another party has this tag
    const late = this.#parties.get(from);
    if (late && !known) { // its hi was slow, and we have treated it as a foreign client
      this.#parties.delete(from);
      this.#parties.set(tag, late);
      late.setSDKClient(this.host.tag < tag);
      return;
    }
    if (!known || !hi?.know?.includes(this.host.tag)) {
      const party = this.addParty({ tag, id: from, name, foreign: false });
      if (known) this.#closeReplaced(known);
      if (entry.weOffer) party.beginOffer();
      return;
    }
    if (known.id === from && known.absentSince === 0) return;
    Object.assign(known, { id: from, name, absentSince: 0 });
    void known.renegotiate(entry.weOffer);
    this.updateState();
  }

  /**
   * Closes our old connection to a party that no longer has it, or never had it, and gets a new one.
   * @param {Party} party
   */
  #closeReplaced(party) {
    party.close();
    this.emit('left', { party, reason: 'gone' });
  }

  /**
   * @param {string} id
   * @param {string} reason
   */
  #onLeft(id, reason) {
    clearTimeout(this.#awaitingHi.get(id)?.timer);
    this.#awaitingHi.delete(id);
    const party = this.parties.find((one) => one.id === id);
    if (!party) return;
    if (reason === 'gone') this.#markAbsent(party); // it may have lost the network and come back
    else this.remove(party, reason);
  }

  #clearAwaitingHi() {
    for (const { timer } of this.#awaitingHi.values()) clearTimeout(timer);
    this.#awaitingHi.clear();
  }

  /** Handles a party that the server no longer knows. Its media may still arrive. @param {Party} party */
  #markAbsent(party) {
    party.absentSince = Date.now();
    this.#absenceTimer ??= setInterval(() => this.#removeAbsent(), ABSENT_MS / 4);
  }

  /** Removes the parties that have been absent and without a connection for ABSENT_MS. */
  #removeAbsent() {
    if (!this.host.reachable()) return;
    for (const party of this.parties) {
      if (party.connected && party.absentSince > 0) party.absentSince = Date.now();
      else if (party.absentSince > 0 && Date.now() - party.absentSince > ABSENT_MS) this.remove(party, 'gone');
    }
    if (this.parties.some(({ absentSince }) => absentSince > 0)) return;
    clearInterval(this.#absenceTimer);
    this.#absenceTimer = undefined;
  }
}

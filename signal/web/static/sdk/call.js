/**
 * A call by ID: who is in it, and a connection to each of them. Parties meet with a message of the kind "hi", which
 * brings a tag that is theirs for as long as their page lives: by it they know each other again when the
 * server has restarted and everybody has another ID. Of two, who joined later offers the connection, and whose tag
 * sorts first is polite.
 */

import { Emitter } from './emitter.js';
import { asError, IceboxError } from './errors.js';
import { Party } from './party.js';

/** @typedef {import('./media.js').LocalMedia} LocalMedia */
/** @typedef {'ringing' | 'waiting' | 'connecting' | 'connected' | 'interrupted' | 'ended'} CallState */
/** @typedef {'hangup' | 'left' | 'declined' | 'busy' | 'no-answer' | 'gone' | 'no-route' | 'lost' | 'unjoined' | 'empty' | 'closed'} EndReason */

/**
 * What a call needs of its client.
 * @typedef {object} Host
 * @property {string} tag
 * @property {RTCIceServer[]} iceServers
 * @property {(message: any) => void} send
 * @property {(message: any, take?: (answer: any) => void) => Promise<any>} request
 * @property {() => boolean} reachable
 * @property {(call: Call) => void} forget
 * @property {import('./websocket.js').Environment} environment
 */

/**
 * @typedef {object} CallSetup
 * @property {LocalMedia} media
 * @property {boolean} [owned] whether the media are closed with the call
 * @property {'all' | 'relay'} [policy]
 * @property {string} [name] whom we call, or who called
 */

/** How long who joined waits for the others to say hi before it takes them for another kind of client. */
const HI_MS = 3_000;
/**
 * How long a party may be unknown to the server and out of reach. It comes after the 30 s for which the server lets a lost
 * connection be resumed, and some 5 s to 15 s until it notices: so who crashed is "interrupted" for up to a minute. A crash
 * can't be told from a line that is down, whose owner is to find the call as it was; the state says within seconds that
 * nothing arrives, and who doesn't want to wait hangs up.
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
  /** Whether nobody has answered yet. */
  ringing = false;
  media;
  name;

  host;
  #policy;
  #owned;
  #restore = '';
  /** @type {RTCIceServer[]} */
  #iceServers;
  /** Who is there by the server's word, with what waits until it has said hi. @type {Map<string, {name: string, newcomer: boolean, timer?: any}>} */
  #guests = new Map();
  /** By tag. @type {Map<string, Party>} */
  #parties = new Map();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #roll;
  #met = false;

  /**
   * @param {Host} host
   * @param {CallSetup} setup
   */
  constructor(host, { media, owned = false, policy = 'all', name = '' }) {
    super();
    this.host = host;
    this.media = media;
    this.name = name;
    this.#owned = owned;
    this.#policy = policy;
    this.#iceServers = host.iceServers;
  }

  /** The others. */
  get parties() {
    return [...this.#parties.values()];
  }

  get ended() {
    return this.state === 'ended';
  }

  /** @param {any} message What came of making the call or of joining it. */
  enter({ call, link, max, restore, iceServers, parties = [] }) {
    Object.assign(this, { id: call, link, max });
    this.#restore = restore ?? '';
    if (iceServers) this.fresh(iceServers);
    for (const party of parties) this.#greet(party, true);
    this.update();
  }

  /** Goes on with the call after the client has signed in anew. */
  async rejoin() {
    for (const party of this.parties) this.#miss(party);
    this.#forgetGuests();
    try {
      const join = { type: 'join', call: this.id, restore: this.#restore || undefined };
      await this.host.request(join, (answer) => this.enter(answer));
    } catch (thrown) {
      const failure = asError(thrown, 'lost');
      if (failure.code === 'lost' || failure.code === 'closed' || this.ended) return; // there will be another sign-in, or none
      this.emit('problem', failure);
      if (!this.parties.some((party) => party.connected)) this.finish('lost');
    }
  }

  /** The client's session goes on as it was. */
  resumed() {
    for (const party of this.parties) party.resumed();
  }

  /** The network may be another one. */
  moved() {
    for (const party of this.parties) party.restart();
  }

  /** @param {RTCIceServer[]} iceServers for connections and restarts from now on */
  fresh(iceServers) {
    this.#iceServers = iceServers;
    for (const party of this.parties) party.configure(iceServers);
  }

  /** @param {any} message what the server says about this call */
  receive(message) {
    const { type, from, fromName = '', kind, data, reason, id, name = '' } = message;
    if (type === 'message') this.#onMessage(from, fromName, kind, data);
    else if (type === 'party-joined') this.#greet({ id, name }, false);
    else if (type === 'party-left') this.#onLeft(id, reason);
    else if (type === 'ended') this.finish(reason, fromName);
    else if (type === 'ice' && message.iceServers) this.fresh(message.iceServers);
  }

  /**
   * Sends anything that can be JSON to all others, from browser to browser. They have it as the event data.
   * @param {any} data
   */
  send(data) {
    for (const party of this.parties) party.sendData(data);
  }

  /**
   * How each connection is doing.
   * @returns {Promise<{party: Party, stats: import('./stats.js').Stats}[]>}
   */
  stats() {
    return Promise.all(this.parties.map(async (party) => ({ party, stats: await party.stats() })));
  }

  /** Leaves the call; the others stay in it. */
  leave() {
    if (this.ended) return;
    this.sayLeave();
    this.finish('left');
  }

  /** Ends the call for all. */
  hangUp() {
    if (this.ended) return;
    this.sayHangUp();
    this.finish('hangup');
  }

  /** Tells the server. */
  sayLeave() {
    if (this.id) this.host.send({ type: 'leave', call: this.id });
  }

  /** Tells the server. */
  sayHangUp() {
    if (this.id) this.host.send({ type: 'hangup', call: this.id });
  }

  /**
   * @param {string} to a party's ID
   * @param {string} kind
   * @param {any} data
   */
  sendTo(to, kind, data) {
    this.host.send({ type: 'send', call: this.id, toId: to, kind, data });
  }

  /**
   * Ends the call on this side.
   * @param {EndReason} reason
   * @param {string} [by] whose doing it is
   */
  finish(reason, by = '') {
    if (this.ended) return;
    this.state = 'ended';
    clearInterval(this.#roll);
    this.#forgetGuests();
    for (const party of this.parties) party.close(reason === 'hangup' || reason === 'left' || reason === 'closed');
    this.#parties.clear();
    if (this.#owned) this.media.close();
    this.host.forget(this);
    this.emit('state', undefined);
    this.emit('end', { reason, by });
  }

  /**
   * A connection to somebody.
   * @param {{tag: string, id: string, name: string, plain: boolean}} who
   * @returns {Party}
   */
  meet({ tag, id, name, plain }) {
    /** @type {Party} */
    const party = new Party({
      id, name, plain, polite: plain || this.host.tag < tag,
      configuration: this.#configuration(plain), media: this.media,
      send: (kind, data) => this.sendTo(party.id, kind, data),
      reachable: () => this.host.reachable() && party.absentSince === 0,
      RTCPeerConnection: this.host.environment.RTCPeerConnection,
    });
    party.on('state', () => this.update());
    party.on('stream', (stream) => this.emit('stream', { party, stream }));
    party.on('shows', () => this.emit('shows', party));
    party.on('data', (data) => this.emit('data', { party, data }));
    party.on('channel', (channel) => this.emit('channel', { party, channel }));
    party.on('bye', () => this.remove(party, 'left'));
    party.on('failed', () => this.remove(party, 'no-route'));
    this.#parties.set(tag, party);
    for (const other of this.parties) {
      const former = (name !== '' && other.name === name) || this.#parties.size > this.max - 1;
      if (other.absentSince > 0 && former) this.remove(other, 'gone');
    }
    this.#divide();
    this.ringing = false;
    this.emit('party', party);
    this.update();
    return party;
  }

  /**
   * @param {Party} party
   * @param {string} reason
   */
  remove(party, reason) {
    const tag = [...this.#parties].find(([, one]) => one === party)?.[0];
    if (tag === undefined || this.ended) return;
    this.#parties.delete(tag);
    party.close();
    this.#divide();
    this.emit('left', { party, reason });
    if (!this.name || this.#parties.size > 0) return this.update();
    this.sayHangUp(); // it was a call between two
    this.finish(/** @type {EndReason} */ (reason), party.name);
  }

  /** Lets each connection have its part of what there is. */
  #divide() {
    for (const party of this.parties) party.among(this.#parties.size);
  }

  /** Finds out the state. */
  update() {
    if (this.ended) return;
    const connected = this.parties.some((party) => party.connected);
    this.#met = this.parties.length > 0 && (this.#met || connected);
    /** @type {CallState} */
    let state = 'interrupted';
    if (this.ringing) state = 'ringing';
    else if (this.parties.length === 0) state = 'waiting';
    else if (connected) state = 'connected';
    else if (!this.#met) state = 'connecting';
    this.state = state;
    this.emit('state', undefined);
  }

  /** @param {boolean} plain @returns {RTCConfiguration} */
  #configuration(plain) {
    return {
      iceServers: this.#iceServers, iceTransportPolicy: this.#policy,
      // One transport for everything, so one address on each relay; other clients may not know how.
      bundlePolicy: plain ? 'balanced' : 'max-bundle',
    };
  }

  /**
   * @param {{id: string, name?: string}} guest
   * @param {boolean} newcomer whether it is we who joined later
   */
  #greet({ id, name = '' }, newcomer) {
    const timer = newcomer ? setTimeout(() => this.#plain(id), HI_MS) : undefined;
    this.#guests.set(id, { name, newcomer, timer });
    this.sendTo(id, 'hi', { tag: this.host.tag, know: [...this.#parties.keys()] });
  }

  /** @param {string} id Somebody who said no hi. */
  #plain(id) {
    const guest = this.#guests.get(id);
    if (!guest) return;
    // Most likely it is one of those that are missed, over a slow line.
    if (this.parties.some(({ absentSince }) => absentSince > 0)) guest.timer = setTimeout(() => this.#plain(id), HI_MS);
    else this.meet({ tag: id, id, name: guest.name, plain: true }).begin();
  }

  /**
   * @param {string} from
   * @param {string} name
   * @param {string} kind
   * @param {any} data
   */
  #onMessage(from, name, kind, data) {
    const party = this.parties.find((one) => one.id === from);
    if (kind === 'hi') this.#onHi(from, name, data);
    else if (kind === 'offer') void (party ?? this.meet({ tag: from, id: from, name, plain: true })).description(data);
    else if (kind === 'answer') void party?.description(data);
    else if (kind === 'candidate') void party?.candidate(data);
    else this.emit('message', { from, name, kind, data });
  }

  /**
   * @param {string} from
   * @param {string} name
   * @param {{tag?: string, know?: string[]} | null} hi
   */
  #onHi(from, name, hi) {
    const guest = this.#guests.get(from);
    const tag = String(hi?.tag ?? from);
    if (!guest || tag === this.host.tag) return;
    clearTimeout(guest.timer);
    const known = this.#parties.get(tag);
    if (known && known.id !== from && known.absentSince === 0) return; // somebody else's tag
    const late = this.#parties.get(from);
    if (late && !known) { // we have taken it for another kind of client
      this.#parties.delete(from);
      this.#parties.set(tag, late);
      late.upgrade(this.host.tag < tag);
      return;
    }
    if (!known || !hi?.know?.includes(this.host.tag)) {
      const party = this.meet({ tag, id: from, name, plain: false });
      if (known) this.#replaced(known);
      if (guest.newcomer) party.begin();
      return;
    }
    if (known.id === from && known.absentSince === 0) return;
    Object.assign(known, { id: from, name, absentSince: 0 });
    void known.renew(guest.newcomer);
    this.update();
  }

  /** @param {Party} party whose place another one has taken: the other side has given it up, or never had it */
  #replaced(party) {
    party.close();
    this.emit('left', { party, reason: 'gone' });
  }

  /**
   * @param {string} id
   * @param {string} reason
   */
  #onLeft(id, reason) {
    clearTimeout(this.#guests.get(id)?.timer);
    this.#guests.delete(id);
    const party = this.parties.find((one) => one.id === id);
    if (!party) return;
    if (reason === 'gone') this.#miss(party); // it may have lost the network, and come back
    else this.remove(party, reason);
  }

  #forgetGuests() {
    for (const { timer } of this.#guests.values()) clearTimeout(timer);
    this.#guests.clear();
  }

  /** @param {Party} party The server doesn't know it any more: its media may flow on. */
  #miss(party) {
    party.absentSince = Date.now();
    this.#roll ??= setInterval(() => this.#callRoll(), ABSENT_MS / 4);
  }

  #callRoll() {
    if (!this.host.reachable()) return;
    for (const party of this.parties) {
      if (party.connected && party.absentSince > 0) party.absentSince = Date.now();
      else if (party.absentSince > 0 && Date.now() - party.absentSince > ABSENT_MS) this.remove(party, 'gone');
    }
    if (this.parties.some(({ absentSince }) => absentSince > 0)) return;
    clearInterval(this.#roll);
    this.#roll = undefined;
  }
}

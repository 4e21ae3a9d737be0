/** A hub with one call, and clients that are in it: enough of a server for calls to meet. */

import { Call } from '../static/sdk/call.js';
import { LocalMedia } from '../static/sdk/media.js';
import { FakeDevices, FakePeerConnection, FakeStream, turn } from './fakes.js';

globalThis.MediaStream = FakeStream;

export class FakeHub {
  members = new Map();
  waiting = [];
  /** Drops what passes, as a network does. */
  deaf = false;
  #count = 0;

  /** Makes a client, with a tag that says who is polite: whose sorts first. */
  async person(name, tag = name) {
    const media = new LocalMedia(new FakeDevices());
    await media.open({ audio: true, video: true });
    const person = { name, tag, online: true, media, events: [] };
    const host = {
      tag, iceServers: [{ urls: 'stun:h' }], environment: { RTCPeerConnection: FakePeerConnection },
      send: (message) => this.#take(person, message),
      request: async (message) => this.#join(person, message),
      reachable: () => person.online,
      forget: () => {},
    };
    person.call = new Call(host, { media });
    for (const type of ['party', 'left', 'end', 'data', 'message']) {
      person.call.on(type, (detail) => person.events.push([type, detail.reason ?? detail.data ?? detail.name]));
    }
    return person;
  }

  async enter(...people) {
    for (const person of people) {
      person.call.enter(await this.#join(person, { call: 'id' }));
      await this.settle();
    }
  }

  /** Forgets everybody, as a server that has restarted. */
  restart() {
    this.members.clear();
    this.waiting = [];
  }

  async settle() {
    for (;;) {
      await turn();
      const next = this.waiting.shift();
      if (!next) return;
      if (!this.deaf) next.to.call.receive(next.message);
    }
  }

  tell(person, message) {
    this.waiting.push({ to: person, message: { call: 'id', ...message } });
  }

  #join(person, { restore }) {
    person.id = `${person.name}-${(this.#count += 1)}`;
    person.restored = restore;
    const parties = [...this.members.values()].map(({ id, name }) => ({ id, name }));
    for (const other of this.members.values()) this.tell(other, { type: 'party-joined', id: person.id, name: person.name });
    this.members.set(person.id, person);
    return { type: 'joined', call: 'id', link: 'https://h/#call=id', max: 8, restore: `proof ${this.#count}`, parties, iceServers: [{ urls: `turn:${this.#count}` }] };
  }

  #take(from, { type, toId, kind, data }) {
    if (!this.members.has(from.id)) return;
    if (type === 'send') {
      const to = this.members.get(toId);
      if (to) this.tell(to, { type: 'message', from: from.id, fromName: from.name, kind, data: data && JSON.parse(JSON.stringify(data)) });
      return;
    }
    this.members.delete(from.id);
    for (const other of this.members.values()) {
      if (type === 'hangup') this.tell(other, { type: 'ended', reason: 'hangup', fromName: from.name });
      else this.tell(other, { type: 'party-left', id: from.id, name: from.name, reason: 'left' });
    }
  }
}

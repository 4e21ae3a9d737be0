/** A fake of the server with one call and its clients. */

import { Call } from '../static/sdk/call.js';
import { LocalMedia } from '../static/sdk/media.js';
import { FakeDevices, FakePeerConnection, FakeStream, flushTasks } from './fakes.js';

globalThis.MediaStream = FakeStream;

export class FakeHub {
  members = new Map();
  queue = [];
  /** Whether messages are dropped, as on a broken network. */
  dropsMessages = false;
  #count = 0;

  /** Makes a client. Of two clients, the one whose tag sorts first is the polite one. */
  async addClient(name, tag = name) {
    const media = new LocalMedia(new FakeDevices());
    await media.open({ audio: true, video: true });
    const client = { name, tag, online: true, media, events: [] };
    const host = {
      tag, iceServers: [{ urls: 'stun:h' }], environment: { RTCPeerConnection: FakePeerConnection },
      send: (message) => this.#receive(client, message),
      request: async (message, onReply) => onReply(this.#join(client, message)),
      reachable: () => client.online,
      forget: () => {},
    };
    client.call = new Call(host, { media });
    for (const type of ['party', 'left', 'end', 'data', 'message']) {
      client.call.on(type, (detail) => client.events.push([type, detail.reason ?? detail.data ?? detail.name]));
    }
    return client;
  }

  async join(...clients) {
    for (const client of clients) {
      client.call.onJoined(await this.#join(client, { call: 'id' }));
      await this.deliverAll();
    }
  }

  /** Forgets all clients and messages, as a restarted server does. */
  restart() {
    this.members.clear();
    this.queue = [];
  }

  async deliverAll() {
    for (;;) {
      await flushTasks();
      const next = this.queue.shift();
      if (!next) return;
      if (!this.dropsMessages) next.to.call.receive(next.message);
    }
  }

  enqueue(client, message) {
    this.queue.push({ to: client, message: { call: 'id', ...message } });
  }

  #join(client, { restore }) {
    client.id = `${client.name}-${(this.#count += 1)}`;
    client.restored = restore;
    const parties = [...this.members.values()].map(({ id, name }) => ({ id, name }));
    for (const other of this.members.values()) this.enqueue(other, { type: 'party-joined', id: client.id, name: client.name });
    this.members.set(client.id, client);
    return { type: 'joined', call: 'id', link: 'https://h/#call=id', max: 8, restore: `proof ${this.#count}`, parties, iceServers: [{ urls: `turn:${this.#count}` }] };
  }

  #receive(from, { type, toId, kind, data }) {
    if (!this.members.has(from.id)) return;
    if (type === 'send') {
      const to = this.members.get(toId);
      if (to) this.enqueue(to, { type: 'message', from: from.id, fromName: from.name, kind, data: data && JSON.parse(JSON.stringify(data)) });
      return;
    }
    this.members.delete(from.id);
    for (const other of this.members.values()) {
      if (type === 'hangup') this.enqueue(other, { type: 'ended', reason: 'hangup', fromName: from.name });
      else this.enqueue(other, { type: 'party-left', id: from.id, name: from.name, reason: 'left' });
    }
  }
}

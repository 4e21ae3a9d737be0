/**
 * A hub and peer connections made by hand, to test calls without a browser.
 * Messages and connection events are delivered when a test says so.
 */

import { Calls } from '../static/assets/call/calls.js';

/** A stand-in for a MediaStream that knows whether it was given back. */
export class FakeStream {
  released = false;
  getTracks() {
    return [];
  }
}

/** A stand-in for Peer that writes down what is done to it. */
export class FakePeer {
  tellsWhenGone = false;
  done = [];

  constructor(stream, queue, hooks) {
    this.stream = stream;
    this.queue = queue;
    this.hooks = hooks;
  }

  async offer(send) {
    this.done.push('offer');
    send({ type: 'offer', sdp: 'offer-sdp' });
  }

  async answer(offer, send) {
    this.done.push(`answer ${offer.sdp}`);
    send({ type: 'answer', sdp: 'answer-sdp' });
    this.queue.open((candidate) => this.done.push(`candidate ${candidate.candidate}`));
  }

  async acceptAnswer(answer) {
    this.done.push(`accept ${answer.sdp}`);
    this.queue.open((candidate) => this.done.push(`candidate ${candidate.candidate}`));
  }

  addCandidate(candidate) {
    this.queue.push(candidate);
  }

  close() {
    this.done.push('close');
  }
}

/** One person's page: their calls, with everything around them faked. */
export class Person {
  online = true;
  peers = [];
  streams = [];
  states = [];
  /** Set to hold the devices back until it resolves. */
  devices = Promise.resolve();

  constructor(hub, name) {
    this.name = name;
    this.calls = new Calls({
      send: (message) => this.online && hub.send(name, message),
      media: async () => {
        await this.devices;
        const stream = new FakeStream();
        this.streams.push(stream);
        return stream;
      },
      release: (stream) => (stream.released = true),
      connect: async (stream, queue, hooks) => {
        const peer = new FakePeer(stream, queue, hooks);
        this.peers.push(peer);
        return peer;
      },
    }, () => {
      if (this.states.at(-1) !== this.calls.state) this.states.push(this.calls.state);
    });
    this.calls.self = name;
  }

  get peer() {
    return this.peers.at(-1);
  }
}

/**
 * Passes messages on as the classic protocol does: an offer bears its sender's
 * name, the rest need not.
 */
export class FakeHub {
  people = new Map();
  waiting = [];
  named;

  constructor({ named = false } = {}) {
    this.named = named;
  }

  join(name) {
    const person = new Person(this, name);
    this.people.set(name, person);
    return person;
  }

  send(from, message) {
    const { name: to, ...rest } = JSON.parse(JSON.stringify(message));
    if (!this.people.has(to)) {
      this.waiting.push({ to: from, message: { type: 'error', code: 'peer-offline', name: to, message: 'offline' } });
    } else {
      const named = this.named || rest.type === 'offer';
      this.waiting.push({ to, message: named ? { ...rest, name: from } : rest });
    }
    return true;
  }

  /** Delivers until nothing is left to deliver. */
  async settle() {
    for (;;) {
      await turn();
      const next = this.waiting.shift();
      if (!next) return;
      this.people.get(next.to).calls.receive(next.message);
    }
  }
}

/** Lets everything that is ready to go on go on. */
export function turn() {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A call between two people, up to where both are connected. */
export async function connected(hub, caller, callee) {
  void caller.calls.start(callee.name);
  await hub.settle();
  void callee.calls.accept();
  await hub.settle();
  for (const person of [caller, callee]) person.peer.hooks.state('connected');
}

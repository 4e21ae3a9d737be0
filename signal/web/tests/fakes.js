/** A server, a network and connections made by hand, to test the SDK without a browser. */

/** Lets everything that is ready to go on go on. */
export async function turn() {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
}

/** A WebSocket whose other end is the test. */
export class FakeSocket {
  static all = [];
  readyState = 0;
  sent = [];

  constructor(address, protocol) {
    Object.assign(this, { address: String(address), protocol });
    FakeSocket.all.push(this);
  }

  static get last() {
    return FakeSocket.all.at(-1);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.readyState = 3;
    this.closed = true;
  }

  open() {
    this.readyState = 1;
    this.onopen?.();
  }

  say(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  lose() {
    this.readyState = 3;
    this.onclose?.();
  }

  /** What was sent of some types, or of all but acks. */
  of(...types) {
    return this.sent.filter(({ type }) => (types.length > 0 ? types.includes(type) : type !== 'ack'));
  }
}

/** Opens the latest socket and answers its hello. */
export async function welcome(more = {}) {
  const socket = FakeSocket.last;
  socket.open();
  await turn();
  const { name } = socket.of('hello').at(-1);
  socket.say({ type: 'welcome', v: 1, id: `id-${FakeSocket.all.length}`, name, resume: `secret-${FakeSocket.all.length}`, limits: { parties: 2 }, ...more });
  await turn();
  return socket;
}

/** Listeners as DOM objects have them. */
class Target {
  listeners = new Map();
  addEventListener(type, listener) {
    this.listeners.set(type, listener);
  }
  removeEventListener(type) {
    this.listeners.delete(type);
  }
}

export class FakeTrack extends Target {
  enabled = true;
  readyState = 'live';
  constructor(kind, deviceId = `${kind}-1`) {
    super();
    Object.assign(this, { kind, deviceId });
  }
  getSettings() {
    return { deviceId: this.deviceId };
  }
  stop() {
    this.readyState = 'ended';
  }
}

export class FakeStream {
  tracks = new Set();
  constructor(tracks = []) {
    for (const track of tracks) this.tracks.add(track);
  }
  getTracks() {
    return [...this.tracks];
  }
  getVideoTracks() {
    return this.getTracks().filter(({ kind }) => kind === 'video');
  }
  addTrack(track) {
    this.tracks.add(track);
  }
  removeTrack(track) {
    this.tracks.delete(track);
  }
}

/** Cameras and microphones; each name in refuse is how asking for that device fails. */
export class FakeDevices extends Target {
  opened = [];
  refuse = {};
  async getUserMedia(wish) {
    const kinds = ['audio', 'video'].filter((kind) => wish[kind]);
    for (const kind of kinds) {
      const id = wish[kind].deviceId?.exact ?? wish[kind].deviceId?.ideal ?? `${kind}-1`;
      const name = this.refuse[id] ?? this.refuse[kind];
      if (name) throw Object.assign(new Error(name), { name });
    }
    const tracks = kinds.map((kind) => new FakeTrack(kind, wish[kind].deviceId?.exact ?? wish[kind].deviceId?.ideal));
    this.opened.push(...tracks);
    return new FakeStream(tracks);
  }
  async getDisplayMedia() {
    return new FakeStream([new FakeTrack('video', 'screen')]);
  }
  async enumerateDevices() {
    return [{ kind: 'videoinput', deviceId: 'video-1', label: 'Cam' }, { kind: 'audioinput', deviceId: 'audio-1', label: '' }];
  }
}

/** What sends a track, with one encoding. */
function fakeSender(track) {
  let parameters = { encodings: [{ active: true }] };
  const sender = {
    track, set: 0, setStreams() {}, replaceTrack: async (other) => (sender.track = other),
    getParameters: () => structuredClone(parameters),
    setParameters: async (other) => { sender.set += 1; parameters = other; },
  };
  return sender;
}

/** What a peer connection is told, and what it would say. Descriptions are numbered. */
export class FakePeerConnection {
  static all = [];
  signalingState = 'stable';
  connectionState = 'new';
  iceConnectionState = 'new';
  localDescription = null;
  remoteDescription = null;
  transceivers = [];
  done = [];
  #count = 0;
  #needs = false;

  constructor(configuration) {
    this.configuration = configuration;
    FakePeerConnection.all.push(this);
  }

  createDataChannel(label, options) {
    const channel = { label, ...options, readyState: 'connecting', sent: [], send: (text) => channel.sent.push(text) };
    this.channel ??= channel;
    return channel;
  }

  addTransceiver(trackOrKind, { direction }) {
    const kind = trackOrKind.kind ?? trackOrKind;
    const sender = fakeSender(trackOrKind.kind ? trackOrKind : null);
    this.transceivers.push({ kind, direction, currentDirection: null, sender, receiver: { track: { kind } } });
    this.#need();
  }

  /** Once for all that was done in one go. */
  #need() {
    if (this.#needs) return;
    this.#needs = true;
    queueMicrotask(() => {
      this.#needs = false;
      this.onnegotiationneeded?.();
    });
  }

  getTransceivers() {
    return this.transceivers;
  }

  async setLocalDescription(description) {
    if (description?.type === 'rollback') {
      this.signalingState = 'stable';
      this.done.push('rollback');
      return;
    }
    const type = this.signalingState === 'have-remote-offer' ? 'answer' : 'offer';
    this.#count += 1;
    this.localDescription = { type, sdp: `${type} ${this.#count}` };
    this.signalingState = type === 'offer' ? 'have-local-offer' : 'stable';
    this.done.push(`local ${type}`);
  }

  async setRemoteDescription(description) {
    this.remoteDescription = description;
    this.signalingState = description.type === 'offer' ? 'have-remote-offer' : 'stable';
    this.done.push(`remote ${description.sdp}`);
    if (description.type === 'offer' && this.transceivers.length === 0) {
      for (const kind of ['audio', 'video']) {
        const sender = fakeSender(null);
        this.transceivers.push({ kind, direction: 'recvonly', currentDirection: null, sender, receiver: { track: { kind } } });
      }
    }
  }

  async addIceCandidate(candidate) {
    this.done.push(`candidate ${candidate.candidate}`);
  }

  getConfiguration() {
    return this.configuration;
  }

  setConfiguration(configuration) {
    this.configuration = configuration;
  }

  restartIce() {
    this.done.push('restart');
    this.#need();
  }

  async getStats() {
    return new Map();
  }

  close() {
    this.connectionState = 'closed';
    this.done.push('close');
  }

  /** Becomes connected, or whatever else. */
  become(state) {
    this.connectionState = state;
    this.iceConnectionState = state;
    if (state === 'connected' && this.channel.readyState !== 'open') {
      this.channel.readyState = 'open';
      this.channel.onopen?.();
    }
    this.oniceconnectionstatechange?.();
    this.onconnectionstatechange?.();
  }
}

/** Fakes of WebSocket, media devices and RTCPeerConnection, to test the SDK without a browser. */

/** Runs all tasks that are ready, and the tasks that these start. */
export async function flushTasks() {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
}

/** A WebSocket. The test plays the server. */
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

  deliver(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  drop() {
    this.readyState = 3;
    this.onclose?.();
  }

  /** The messages that the client sent: those of the given types, or all except acks. */
  sentOf(...types) {
    return this.sent.filter(({ type }) => (types.length > 0 ? types.includes(type) : type !== 'ack'));
  }
}

/** Opens the latest socket and sends the welcome. */
export async function welcome(more = {}) {
  const socket = FakeSocket.last;
  socket.open();
  await flushTasks();
  const { name } = socket.sentOf('hello').at(-1);
  socket.deliver({ type: 'welcome', v: 1, id: `id-${FakeSocket.all.length}`, name, resume: `secret-${FakeSocket.all.length}`, limits: { parties: 2 }, ...more });
  await flushTasks();
  return socket;
}

/** An EventTarget with at most one listener for each type. */
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

/** The media devices. To make getUserMedia fail, set the name of the error in failures, by kind or device ID. */
export class FakeDevices extends Target {
  opened = [];
  failures = {};
  async getUserMedia(wish) {
    const kinds = ['audio', 'video'].filter((kind) => wish[kind]);
    for (const kind of kinds) {
      const id = wish[kind].deviceId?.exact ?? wish[kind].deviceId?.ideal ?? `${kind}-1`;
      const name = this.failures[id] ?? this.failures[kind];
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

/** An RTCRtpSender with one encoding. */
function fakeSender(track) {
  let parameters = { encodings: [{ active: true }] };
  const sender = {
    track, set: 0, setStreams() {}, replaceTrack: async (other) => (sender.track = other),
    getParameters: () => structuredClone(parameters),
    setParameters: async (other) => { sender.set += 1; parameters = other; },
  };
  return sender;
}

/** An RTCPeerConnection that records the calls of its methods in log. Its descriptions are numbered. */
export class FakePeerConnection {
  static all = [];
  signalingState = 'stable';
  connectionState = 'new';
  iceConnectionState = 'new';
  localDescription = null;
  remoteDescription = null;
  transceivers = [];
  log = [];
  #count = 0;
  #negotiationPending = false;

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
    this.#scheduleNegotiation();
  }

  /** Fires negotiationneeded once for all changes of the same task. */
  #scheduleNegotiation() {
    if (this.#negotiationPending) return;
    this.#negotiationPending = true;
    queueMicrotask(() => {
      this.#negotiationPending = false;
      this.onnegotiationneeded?.();
    });
  }

  getTransceivers() {
    return this.transceivers;
  }

  async setLocalDescription(description) {
    if (description?.type === 'rollback') {
      this.signalingState = 'stable';
      this.log.push('rollback');
      return;
    }
    const type = this.signalingState === 'have-remote-offer' ? 'answer' : 'offer';
    this.#count += 1;
    this.localDescription = { type, sdp: `${type} ${this.#count}` };
    this.signalingState = type === 'offer' ? 'have-local-offer' : 'stable';
    this.log.push(`local ${type}`);
  }

  async setRemoteDescription(description) {
    this.remoteDescription = description;
    this.signalingState = description.type === 'offer' ? 'have-remote-offer' : 'stable';
    this.log.push(`remote ${description.sdp}`);
    if (description.type === 'offer' && this.transceivers.length === 0) {
      for (const kind of ['audio', 'video']) {
        const sender = fakeSender(null);
        this.transceivers.push({ kind, direction: 'recvonly', currentDirection: null, sender, receiver: { track: { kind } } });
      }
    }
  }

  async addIceCandidate(candidate) {
    this.log.push(`candidate ${candidate.candidate}`);
  }

  getConfiguration() {
    return this.configuration;
  }

  setConfiguration(configuration) {
    this.configuration = configuration;
  }

  restartIce() {
    this.log.push('restart');
    this.#scheduleNegotiation();
  }

  async getStats() {
    return new Map();
  }

  close() {
    this.connectionState = 'closed';
    this.log.push('close');
  }

  /** Sets the connection state and fires the events. */
  setState(state) {
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

/** Browser SDK of icebox. README.md shows how to use it. */

/** Signs in. Rejects with an IceboxError. */
export function connect(options?: ConnectOptions): Promise<Client>;

export interface ConnectOptions {
  /** The server, such as https://call.example.org/. Left out: where this module was loaded from. */
  url?: string | URL;
  /** Left out: others can reach this client by its ID alone. */
  name?: string;
  /** A JWT, or what gives a fresh one whenever the client has to sign in. */
  token?: string | (() => string | Promise<string>);
  /** An API key, where the server wants one. */
  key?: string;
  /** auto takes events where WebSockets don't work. */
  transport?: 'auto' | 'websocket' | 'events';
  /** The `secret` of an earlier client, whose session ends and whose name is this one's at once. */
  replace?: string;
  /** Instead of the browser's own, for tests. */
  environment?: {
    WebSocket?: typeof WebSocket;
    fetch?: typeof fetch;
    RTCPeerConnection?: typeof RTCPeerConnection;
    mediaDevices?: MediaDevices;
  };
}

export class IceboxError extends Error {
  /**
   * One of the protocol's codes, or: unreachable, lost (nobody knows whether it was done), closed, ended,
   * media-NotAllowedError and the like.
   */
  readonly code: string;
  constructor(code: string, message: string);
}

interface Emitter<Events> {
  /** Returns what ends the listening. */
  on<T extends keyof Events>(type: T, listener: (detail: Events[T]) => void): () => void;
  once<T extends keyof Events>(type: T, listener: (detail: Events[T]) => void): () => void;
  off<T extends keyof Events>(type: T, listener: (detail: Events[T]) => void): void;
}

export interface ClientEvents {
  /** `state` or `problem` changed. */
  state: void;
  /** A message from another client that belongs to no call. */
  message: { from: string; name: string; kind: string; data: any };
  /** A name that is watched has come or gone. */
  presence: { name: string; online: boolean };
  /** Fresh ICE servers; calls have taken theirs already. */
  iceservers: RTCIceServer[];
  /** Somebody calls. Who doesn't listen is busy. */
  call: IncomingCall;
  /** The session of a client that one has exchanged something with is over. */
  gone: { from: string; name: string };
  /** The server refused something that nobody waits for. */
  problem: IceboxError;
  /** The end: of our own doing if there is no error. */
  close: IceboxError | null;
}

export interface Client extends Emitter<ClientEvents> {
  /** Another one after each sign-in, of which there is one more when the server has restarted. */
  readonly id: string;
  readonly name: string;
  readonly iceServers: RTCIceServer[];
  /** Why there are no ICE servers. */
  readonly iceError: IceboxError | null;
  /** What the server allows, such as `parties` in a call. */
  readonly limits: Readonly<Record<string, number>>;
  readonly state: 'connected' | 'reconnecting' | 'closed';
  /** Why it is not connected. */
  readonly problem: IceboxError | null;
  readonly transport: 'websocket' | 'events' | null;
  /** What proves to be this client, for `connect({ replace })` after a reload. */
  readonly secret: string;
  readonly calls: Call[];

  /** Sends a message to a name or an ID; fulfilled when it has been passed on. `kind` is letters, digits and hyphens. */
  send(to: string | { name: string } | { id: string }, kind: string, data: any): Promise<void>;
  watch(...names: string[]): Promise<void>;
  unwatch(...names: string[]): Promise<void>;

  /** Makes a call that others join by its `id` or `link`. */
  createCall(options?: CallOptions): Promise<Call>;
  join(id: string, options?: CallOptions): Promise<Call>;
  /** Calls a name, or answers if it is calling us. Fulfilled when it rings there. */
  call(name: string, options?: CallOptions): Promise<Call>;

  /** Connects at once instead of waiting. */
  reconnect(): void;
  /** Leaves all calls and ends the session. Say `unloading` when the page is being left. */
  close(why?: { unloading?: boolean }): void;
}

export interface CallOptions {
  /** Media that are open, which stay the caller's; or what to open, and to close with the call. Left out: both. */
  media?: LocalMedia | MediaWish;
  /** relay: let nobody see one's address. */
  policy?: 'all' | 'relay';
  /** Parties of a call that is made; 2 if left out, and as many as the server allows. */
  max?: number;
  /** Milliseconds to ring for; 45,000 if left out. */
  timeout?: number;
}

export interface IncomingCall extends Emitter<{ end: 'cancelled' | 'declined' | 'answered' | 'timeout' | 'closed' }> {
  /** The caller's; empty if it has none. */
  readonly name: string;
  readonly from: string;
  readonly over: boolean;
  answer(options?: CallOptions): Promise<Call>;
  decline(reason?: 'declined' | 'busy'): void;
}

export type CallState = 'ringing' | 'waiting' | 'connecting' | 'connected' | 'interrupted' | 'ended';

export type EndReason =
  | 'hangup' | 'left' | 'declined' | 'busy' | 'no-answer' | 'gone' | 'no-route' | 'lost' | 'unjoined' | 'empty' | 'closed';

export interface CallEvents {
  /** `state`, `parties` or a party's connection changed. */
  state: void;
  party: Party;
  left: { party: Party; reason: string };
  /** A party sends one more track. */
  stream: { party: Party; stream: MediaStream };
  /** A party has muted itself, and so on: see `party.shows`. */
  shows: Party;
  /** What another party has sent with `send`. */
  data: { party: Party; data: any };
  /** A data channel that another party has opened. */
  channel: { party: Party; channel: RTCDataChannel };
  /** A message of another kind that came through the server. */
  message: { from: string; name: string; kind: string; data: any };
  end: { reason: EndReason; by: string };
  problem: IceboxError;
}

export interface Call extends Emitter<CallEvents> {
  readonly id: string;
  /** A page's address that leads to the call. */
  readonly link: string;
  readonly max: number;
  readonly state: CallState;
  readonly ringing: boolean;
  readonly ended: boolean;
  /** Whom it is with, if it was made by name. */
  readonly name: string;
  readonly media: LocalMedia;
  readonly parties: Party[];

  /** Sends anything that can be JSON to all others, from browser to browser. */
  send(data: any): void;
  /** How each connection is doing. Rates and losses are of the time since the last question. */
  stats(): Promise<{ party: Party; stats: Stats }[]>;
  /** Leaves; the others stay. */
  leave(): void;
  /** Ends the call for all. */
  hangUp(): void;
}

export interface Party {
  readonly id: string;
  readonly name: string;
  /** What they send. Always the same object. */
  readonly stream: MediaStream;
  /** What they say they show. */
  readonly shows: { microphone: boolean; camera: boolean; sharing: boolean };
  readonly connected: boolean;
  /** Whether there has been a connection. */
  readonly met: boolean;
  readonly connection: RTCPeerConnection;
  sendData(data: any): void;
  openChannel(label: string, options?: RTCDataChannelInit): RTCDataChannel;
  stats(): Promise<Stats>;
}

export interface MediaWish {
  audio?: boolean | MediaTrackConstraints;
  video?: boolean | MediaTrackConstraints;
}

/** Opens camera and microphone; what the machine lacks is left out. Rejects with what to tell a person. */
export function openMedia(wish?: MediaWish, devices?: MediaDevices): Promise<LocalMedia>;

export function listDevices(devices?: MediaDevices): Promise<{
  cameras: { id: string; label: string }[];
  microphones: { id: string; label: string }[];
}>;

export interface LocalMedia extends Emitter<{ track: 'audio' | 'video'; change: void; devices: void; problem: IceboxError }> {
  /** What is sent, to be shown. Always the same object. */
  readonly stream: MediaStream;
  muted: boolean;
  cameraOff: boolean;
  readonly sharing: boolean;
  track(kind: 'audio' | 'video'): MediaStreamTrack | null;
  /** The ID of the device in use, empty for none. */
  device(kind: 'audio' | 'video'): string;
  /** Takes another device, or none. */
  setCamera(id: string | null): Promise<void>;
  setMicrophone(id: string | null): Promise<void>;
  /** Sends the screen instead of the camera, until stopped here or by the browser. */
  shareScreen(): Promise<void>;
  stopSharing(): void;
  close(): void;
}

export interface End {
  type: string;
  address: string;
  port: number;
  protocol: string;
  relayProtocol: string;
  url: string;
}

export interface Stats {
  route: 'direct' | 'relayed' | 'none';
  quality: 'good' | 'fair' | 'poor' | 'unknown';
  /** Seconds. */
  roundTrip: number | null;
  /** The share of packets that got lost lately, in the worse direction. */
  loss: number | null;
  /** Bits per second. */
  sendRate: number | null;
  receiveRate: number | null;
  local: End | null;
  remote: End | null;
  time: number;
  bytesSent: number;
  bytesReceived: number;
  framesDecoded: number;
  width: number;
  height: number;
  framesPerSecond: number;
  packetsLost: number;
  packetsReceived: number;
  lossSent: number | null;
}

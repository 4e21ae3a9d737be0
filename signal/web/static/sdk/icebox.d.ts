/** The browser SDK of icebox. README.md shows how to use it. */

/** Signs in. Rejects with an IceboxError, without trying again. */
export function connect(options?: ConnectOptions): Promise<Client>;

export interface ConnectOptions {
  /** The server, such as https://call.example.org/. The default is the one that this module was loaded from. */
  url?: string | URL;
  /** Without a name, others can reach this client only by its ID. */
  name?: string;
  /** A JWT, or a function that returns a new one. It is called whenever the client has to sign in. */
  token?: string | (() => string | Promise<string>);
  /** An API key, if the server requires one. */
  key?: string;
  /** auto, the default, uses events where WebSockets don't work. */
  transport?: 'auto' | 'websocket' | 'events';
  /** The `secret` of an earlier client. Its session ends, and this client gets its name at once. */
  replace?: string;
  /** Replacements for APIs of the browser, for tests. */
  environment?: {
    WebSocket?: typeof WebSocket;
    fetch?: typeof fetch;
    RTCPeerConnection?: typeof RTCPeerConnection;
    mediaDevices?: MediaDevices;
  };
}

export class IceboxError extends Error {
  /**
   * An error code of the protocol, or one of these:
   *
   *   unreachable       the server can't be reached
   *   not-allowed       the server does not allow the origin of this page
   *   too-many          too many connections or requests from this address
   *   lost              the connection was lost; the server may or may not have acted on the request
   *   closed            the client is closed
   *   ended             the incoming call is over
   *   media-...         a device can't be opened; the rest is the name of the browser's error, as in media-NotAllowedError
   */
  readonly code: string;
  constructor(code: string, message: string);
}

interface Emitter<Events> {
  /** Returns a function that removes the listener. */
  on<T extends keyof Events>(type: T, listener: (detail: Events[T]) => void): () => void;
  once<T extends keyof Events>(type: T, listener: (detail: Events[T]) => void): () => void;
  off<T extends keyof Events>(type: T, listener: (detail: Events[T]) => void): void;
}

export interface ClientEvents {
  /** `state` or `problem` changed. */
  state: void;
  /** A message from another client, outside of calls. */
  message: { from: string; name: string; kind: string; data: any };
  /** A client with a watched name has come online or gone offline. */
  presence: { name: string; online: boolean };
  /** There are new ICE servers. Calls already use them. */
  iceservers: RTCIceServer[];
  /** Another client calls. If there is no listener, the SDK tells the caller that this client is busy. */
  call: IncomingCall;
  /** The session of another client has ended. This client has exchanged messages with it. */
  gone: { from: string; name: string };
  /** The server has refused a message that no promise is waiting for. */
  problem: IceboxError;
  /** The client is closed: by close() if there is no error. */
  close: IceboxError | null;
}

export interface Client extends Emitter<ClientEvents> {
  /** The ID changes when the client has to sign in again, as after a restart of the server. */
  readonly id: string;
  readonly name: string;
  /** For connections that the application makes itself. They are replaced before their credentials expire. */
  readonly iceServers: RTCIceServer[];
  /** Why there are no ICE servers; null if there are some. */
  readonly iceError: IceboxError | null;
  /** The limits of this server, such as `parties` in a call. */
  readonly limits: Readonly<Record<string, number>>;
  readonly state: 'connected' | 'reconnecting' | 'closed';
  /** Why the client is not connected; null while it is. */
  readonly problem: IceboxError | null;
  readonly transport: 'websocket' | 'events' | null;
  /** The secret of this session, for `connect({ replace })` after a reload. */
  readonly secret: string;
  readonly calls: Call[];

  /**
   * Sends a message to a client by its name or ID. Resolves when the server has passed it on. `kind` has letters, digits and
   * hyphens.
   */
  send(to: string | { name: string } | { id: string }, kind: string, data: any): Promise<void>;
  /** Emits the event presence for each name, now and whenever it changes. */
  watch(...names: string[]): Promise<void>;
  unwatch(...names: string[]): Promise<void>;

  /** Creates a call that others join by its `id` or `link`. */
  createCall(options?: CallOptions): Promise<Call>;
  join(id: string, options?: CallOptions): Promise<Call>;
  /** Calls a client by its name, or answers it if it is calling this one. Resolves when the call rings there. */
  call(name: string, options?: CallOptions): Promise<Call>;

  /** Reconnects without waiting for the next attempt. */
  reconnect(): void;
  /** Leaves all calls and ends the session. Set `unloading` when the user leaves the page. */
  close(why?: { unloading?: boolean }): void;
}

export interface CallOptions {
  /** A LocalMedia, which the application has to close, or the kinds of media to open for this call. The default is camera and microphone. */
  media?: LocalMedia | MediaWish;
  /** relay: connect through a relay only, which hides the client's address from the others. */
  policy?: 'all' | 'relay';
  /** The most parties in a call that is created; 2 by default. The server has an upper limit. */
  max?: number;
  /** How long to ring, in milliseconds; 45,000 by default. */
  timeout?: number;
}

export interface IncomingCall extends Emitter<{ end: 'cancelled' | 'declined' | 'answered' | 'timeout' | 'closed' }> {
  /** The caller's name; empty if it has none. */
  readonly name: string;
  /** The caller's client ID. */
  readonly from: string;
  /** Whether the call has stopped ringing here, for any reason. */
  readonly over: boolean;
  answer(options?: CallOptions): Promise<Call>;
  decline(reason?: 'declined' | 'busy'): void;
}

export type CallState = 'ringing' | 'waiting' | 'connecting' | 'connected' | 'interrupted' | 'ended';

export type EndReason =
  | 'hangup' | 'left' | 'declined' | 'busy' | 'no-answer' | 'gone' | 'no-route' | 'lost' | 'unjoined' | 'empty' | 'closed';

export interface CallEvents {
  /** `state`, `parties`, or the connection of a party changed. */
  state: void;
  party: Party;
  left: { party: Party; reason: string };
  /** A party has added a track. */
  stream: { party: Party; stream: MediaStream };
  /** A party has muted its microphone, switched its camera off, and so on: see `party.shows`. */
  shows: Party;
  /** A party has sent data with `send`. */
  data: { party: Party; data: any };
  /** A party has opened a data channel. */
  channel: { party: Party; channel: RTCDataChannel };
  /** A message within the call, of a kind that the SDK does not use itself. */
  message: { from: string; name: string; kind: string; data: any };
  end: { reason: EndReason; by: string };
  problem: IceboxError;
}

export interface Call extends Emitter<CallEvents> {
  readonly id: string;
  /** The URL of a page that joins the call. */
  readonly link: string;
  readonly max: number;
  readonly state: CallState;
  readonly ringing: boolean;
  readonly ended: boolean;
  /** The name of the other client, for a call by name; otherwise empty. */
  readonly name: string;
  readonly media: LocalMedia;
  readonly parties: Party[];

  /** Sends a value that JSON can represent to all others, from browser to browser. */
  send(data: any): void;
  /** Returns statistics of each connection. Rates and losses cover the time since the last call of this method. */
  stats(): Promise<{ party: Party; stats: Stats }[]>;
  /** Leaves the call; the others stay in it. */
  leave(): void;
  /** Ends the call for all. */
  hangUp(): void;
}

export interface Party {
  readonly id: string;
  readonly name: string;
  /** The media that the party sends. The object never changes. */
  readonly stream: MediaStream;
  /** Which media the party says it sends. */
  readonly shows: { microphone: boolean; camera: boolean; sharing: boolean };
  readonly connected: boolean;
  /** Whether the connection to this party has ever worked. */
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

/** Opens those of camera and microphone that the machine has. Rejects with an IceboxError whose message is for the user. */
export function openMedia(wish?: MediaWish, devices?: MediaDevices): Promise<LocalMedia>;

export function listDevices(devices?: MediaDevices): Promise<{
  cameras: { id: string; label: string }[];
  microphones: { id: string; label: string }[];
}>;

export interface LocalMedia extends Emitter<{ track: 'audio' | 'video'; change: void; devices: void; problem: IceboxError }> {
  /** The media that are sent, to show them on the page. The object never changes. */
  readonly stream: MediaStream;
  /** Whether the microphone sends silence. */
  muted: boolean;
  /** Whether the camera sends black frames. */
  cameraOff: boolean;
  readonly sharing: boolean;
  track(kind: 'audio' | 'video'): MediaStreamTrack | null;
  /** The ID of the device in use; empty if there is none. */
  device(kind: 'audio' | 'video'): string;
  /** Switches to another device; null for none. */
  setCamera(id: string | null): Promise<void>;
  setMicrophone(id: string | null): Promise<void>;
  /** Sends the screen instead of the camera, until stopSharing is called or the user stops it in the browser. */
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
  /** The share of recent packets that were lost, in the worse direction. */
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
  /** The share of our recent packets that did not arrive, as the other side reports. */
  lossSent: number | null;
}

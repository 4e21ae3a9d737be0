/** The protocol over a WebSocket: one message is one text frame. */

import { IceboxError, refusalError } from './errors.js';

/**
 * One connection to the server, for as long as it lasts.
 * @typedef {object} Transport
 * @property {'websocket' | 'events'} kind
 * @property {boolean} pings whether the client has to ping, because the server shows no sign of life otherwise
 * @property {(handlers: Handlers) => void} start delivers the messages that have arrived, and from then on each as it arrives
 * @property {(texts: string[]) => void} send
 * @property {(finalText?: string) => void} close closes the connection, after sending finalText if there is one
 */

/**
 * @typedef {object} Handlers
 * @property {(message: any) => void} message
 * @property {() => void} alive data has arrived from the server, even if it is not a message
 * @property {() => void} lost the connection is lost; called at most once, and never after close
 */

/**
 * @typedef {object} Opening
 * @property {string} url the base URL of the server
 * @property {any} hello
 * @property {Environment} environment
 */

/**
 * Replacements for APIs of the browser. Tests pass fakes.
 * @typedef {object} Environment
 * @property {typeof globalThis.WebSocket} [WebSocket]
 * @property {typeof globalThis.fetch} [fetch]
 * @property {typeof globalThis.RTCPeerConnection} [RTCPeerConnection]
 * @property {MediaDevices} [mediaDevices]
 */

/** The time for the handshake. It is short, because some networks drop WebSocket handshakes silently while a user waits. */
const OPEN_MS = 3_000;
/** The time for the reply to hello. It is long, because the server may have to probe the connection that holds the name. */
const REPLY_MS = 12_000;

/**
 * Connects and sends hello.
 * @param {Opening} opening
 * @returns {Promise<{first: any, transport: Transport}>} first is the message welcome or resumed. It rejects with the server's
 *   refusal, or with the code unreachable
 */
export async function openWebSocket({ url, hello, environment }) {
  const Socket = environment.WebSocket ?? globalThis.WebSocket;
  if (!Socket) throw new IceboxError('unreachable', 'This browser does not support WebSockets.');
  const address = new URL('ws', url);
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new Socket(address, 'icebox.v1');
  const transport = new SocketTransport(socket);
  try {
    await transport.waitUntilOpen(OPEN_MS);
    socket.send(JSON.stringify(hello));
    const first = await transport.firstMessage(REPLY_MS);
    if (first.type === 'error') throw refusalError(first);
    return { first, transport };
  } catch (failure) {
    transport.close();
    throw failure;
  }
}

/** @implements {Transport} */
class SocketTransport {
  kind = /** @type {const} */ ('websocket');
  pings = true;
  #socket;
  /** The messages that arrived before start. @type {any[]} */
  #buffered = [];
  /** @type {Handlers | null} */
  #handlers = null;
  #closed = false;
  /** Called after each change that #waitFor may be waiting for. @type {() => void} */
  #onChange = () => {};

  /** @param {WebSocket} socket */
  constructor(socket) {
    this.#socket = socket;
    socket.onopen = () => this.#onChange();
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = () => {
      this.#closed = true;
      this.#onChange();
      this.#handlers?.lost();
    };
  }

  /** @param {number} milliseconds */
  waitUntilOpen(milliseconds) {
    return this.#waitFor(() => this.#socket.readyState === 1, milliseconds);
  }

  /** @param {number} milliseconds */
  async firstMessage(milliseconds) {
    await this.#waitFor(() => this.#buffered.length > 0, milliseconds);
    return this.#buffered.shift();
  }

  /** @param {Handlers} handlers */
  start(handlers) {
    this.#handlers = handlers;
    for (const message of this.#buffered.splice(0)) handlers.message(message);
    if (this.#closed) handlers.lost();
  }

  /** @param {string[]} texts */
  send(texts) {
    if (this.#socket.readyState !== 1) return; // it is closing; numbered messages are sent again on the next connection
    for (const text of texts) this.#socket.send(text);
  }

  /** @param {string} [finalText] */
  close(finalText) {
    this.#handlers = null;
    if (finalText !== undefined) this.send([finalText]);
    this.#socket.onclose = null;
    this.#socket.onmessage = null;
    this.#socket.onopen = null;
    this.#socket.onerror = null;
    this.#socket.close();
  }

  /** @param {unknown} data */
  #receive(data) {
    /** @type {any} */
    let message;
    try {
      message = JSON.parse(String(data));
    } catch {
      return this.#socket.close(); // the other end does not speak this protocol
    }
    if (this.#handlers) return this.#handlers.message(message);
    this.#buffered.push(message);
    this.#onChange();
  }

  /**
   * Resolves when `done` returns true. Rejects if the socket closes first, or after a timeout.
   * @param {() => boolean} done
   * @param {number} milliseconds
   */
  #waitFor(done, milliseconds) {
    return new Promise((resolve, reject) => {
      const fail = (/** @type {string} */ text) => reject(new IceboxError('unreachable', text));
      const timer = setTimeout(() => fail('The server did not respond in time.'), milliseconds);
      this.#onChange = () => {
        if (!done() && !this.#closed) return;
        clearTimeout(timer);
        this.#onChange = () => {};
        if (done()) resolve(undefined);
        else fail('The WebSocket connection could not be made.');
      };
      this.#onChange();
    });
  }
}

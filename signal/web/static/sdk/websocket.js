/** The protocol over a WebSocket: one message is one text frame. */

import { IceboxError, refused } from './errors.js';

/**
 * What carries messages until it is lost.
 * @typedef {object} Transport
 * @property {'websocket' | 'events'} kind
 * @property {boolean} pings whether the server's signs of life have to be asked for
 * @property {(sink: Sink) => void} start hands over what has come and what will
 * @property {(texts: string[]) => void} send
 * @property {(last?: string) => void} close without a word, or with a last one
 */

/**
 * @typedef {object} Sink
 * @property {(message: any) => void} message
 * @property {() => void} alive the server has shown a sign of life
 * @property {() => void} lost called once at most, and not after close
 */

/**
 * @typedef {object} Opening
 * @property {string} url the server's
 * @property {any} hello
 * @property {Environment} environment
 */

/**
 * What is taken from the browser; tests bring their own.
 * @typedef {object} Environment
 * @property {typeof globalThis.WebSocket} [WebSocket]
 * @property {typeof globalThis.fetch} [fetch]
 * @property {typeof globalThis.RTCPeerConnection} [RTCPeerConnection]
 * @property {MediaDevices} [mediaDevices]
 */

/** A network that swallows WebSockets shall not keep a person waiting. */
const OPEN_MS = 3_000;
/** The server may first probe who holds a name. */
const ANSWER_MS = 12_000;

/**
 * Connects and says hello.
 * @param {Opening} opening
 * @returns {Promise<{first: any, transport: Transport}>} the first is a welcome, or what resumes; rejects
 *   with the server's refusal, else with unreachable
 */
export async function openWebSocket({ url, hello, environment }) {
  const Socket = environment.WebSocket ?? globalThis.WebSocket;
  if (!Socket) throw new IceboxError('unreachable', 'There are no WebSockets here.');
  const address = new URL('ws', url);
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new Socket(address, 'icebox.v1');
  const transport = new SocketTransport(socket);
  try {
    await transport.opened(OPEN_MS);
    socket.send(JSON.stringify(hello));
    const first = await transport.first(ANSWER_MS);
    if (first.type === 'error') throw refused(first);
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
  /** @type {any[]} What came before start. */
  #waiting = [];
  /** @type {Sink | null} */
  #sink = null;
  #over = false;
  /** @type {() => void} Called whenever something has happened. */
  #stir = () => {};

  /** @param {WebSocket} socket */
  constructor(socket) {
    this.#socket = socket;
    socket.onopen = () => this.#stir();
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = () => {
      this.#over = true;
      this.#stir();
      this.#sink?.lost();
    };
  }

  /** @param {number} milliseconds */
  opened(milliseconds) {
    return this.#until(() => this.#socket.readyState === 1, milliseconds);
  }

  /** @param {number} milliseconds */
  async first(milliseconds) {
    await this.#until(() => this.#waiting.length > 0, milliseconds);
    return this.#waiting.shift();
  }

  /** @param {Sink} sink */
  start(sink) {
    this.#sink = sink;
    for (const message of this.#waiting.splice(0)) sink.message(message);
    if (this.#over) sink.lost();
  }

  /** @param {string[]} texts */
  send(texts) {
    if (this.#socket.readyState !== 1) return; // it is being lost: what is numbered is sent again
    for (const text of texts) this.#socket.send(text);
  }

  /** @param {string} [last] */
  close(last) {
    this.#sink = null;
    if (last !== undefined) this.send([last]);
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
      return this.#socket.close(); // not this protocol
    }
    if (this.#sink) return this.#sink.message(message);
    this.#waiting.push(message);
    this.#stir();
  }

  /**
   * @param {() => boolean} done
   * @param {number} milliseconds
   */
  #until(done, milliseconds) {
    return new Promise((resolve, reject) => {
      const fail = (/** @type {string} */ words) => reject(new IceboxError('unreachable', words));
      const timer = setTimeout(() => fail('The server did not answer in time.'), milliseconds);
      this.#stir = () => {
        if (!done() && !this.#over) return;
        clearTimeout(timer);
        this.#stir = () => {};
        if (done()) resolve(undefined);
        else fail('No WebSocket connection can be made.');
      };
      this.#stir();
    });
  }
}
